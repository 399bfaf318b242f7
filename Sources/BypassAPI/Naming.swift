/// The `netns` parameter of several methods.
enum Naming {
    static let summary =
        "the network namespace: `web`, `/run/netns/web`, `/proc/4711/ns/net`, `pid:4711`, `pod:UID`, `container:ID` or `host`"

    /// The forms that `NamespaceReference` in Linux takes.
    static let schema = {
        var schema = Schema.string(
            length: 1...4095, pattern: #"^[^\u0000]+$"#, examples: ["web"] + forms.flatMap(\.examples))
        schema.alternatives = forms
        return schema
    }()

    private static let forms: [Schema] = [
        form("a file's name under /run/netns; or host", "(?!pid:|pod:|container:|[.]{1,2}$)[^/]+", "host", bytes: 255),
        form(
            "a process",
            "pid:0*(?:[1-9][0-9]{0,8}|1[0-9]{9}|20[0-9]{8}|21[0-3][0-9]{7}|214[0-6][0-9]{6}|2147[0-3][0-9]{5}"
                + "|21474[0-7][0-9]{4}|214748[0-2][0-9]{3}|2147483[0-5][0-9]{2}|21474836[0-3][0-9]|214748364[0-7])",
            "pid:4711"),
        form("the UID of a pod", "pod:[0-9A-Za-z-]{1,64}", "pod:3f1c5a1e-0d3c-4c56-9d8e-6a3b1f1c2d4e"),
        form(
            "the id of a container", "container:(?:containerd://|cri-o://|docker://)?[0-9a-f]{12,64}",
            "container:9c1d0a2b3c4d"),
        form(
            "an absolute path of at most 64 names, without ..",
            "(?:(?:/|/[.](?=/|$))*/(?![.]{1,2}(?:/|$))[^/]+){0,64}(?:/|/[.](?=/|$))*", "/run/netns/web"),
    ]

    private static func form(_ description: String, _ pattern: String, _ example: String, bytes: Int? = nil) -> Schema {
        var form = Schema.string(description, pattern: "^\(pattern)$", examples: [example])
        form.kind = nil
        form.maxBytes = bytes
        return form
    }

    /// The parameter that says which namespace is meant, if a pod's processes are in several.
    static let expectedAddresses = Parameter(
        "expectAddresses", "fail with `netns-mismatch` unless the namespace has one of these IP addresses",
        .array(of: InternetAddress.schema, count: 1...Int.max))

    /// Of a method that reads one namespace.
    static let errors: [ErrorCode] = [
        .permissionDenied, .netnsNotFound, .notANetns, .hostNetnsRefused, .kernelRefused, .limitExceeded,
        .netnsMismatch,
    ]
}

extension BypassStatus {
    static let schema = Schema.component("BypassStatus", .object("the bypass of one namespace", properties))

    static let properties: [Schema.Property] = [
        .init("netns", .string("the namespace, as the caller named it")),
        .init("inode", .integer("the namespace's inode number, as `lsns -t net` prints it")),
        .init("state", .oneOf(State.self, "`degraded`: wanted, but a rule is missing or no longer first")),
        .init(
            "effective", .boolean("whether it takes precedence over every redirect found, in the requested direction")),
        .init(
            "effect",
            .oneOf(
                Effect.self,
                "how much of that direction it takes precedence in; `effective` is true for `all` and `nothing-to-bypass`"
            )
        ),
        .init(
            "redirected",
            .boolean(
                "whether rules of the namespace redirect connections to a proxy; null if that is not known, and of `off`"
            )
            .orNull),
        .init("direction", .oneOf(Direction.self).orNull),
        .init("only", ConnectionSet.schema("the connections that the bypass is for; null for all").orNull),
        .init("except", ConnectionSet.schema("connections that the bypass is not for").orNull),
        .init(
            "cgroup",
            .integer("the control group whose sockets the bypass is for; null if it is for whatever sends").orNull),
        .init("since", .string("RFC 3339, UTC", format: "date-time").orNull),
        .init("expiresAt", .string("RFC 3339, UTC; null if the bypass does not expire", format: "date-time").orNull),
        .init("owner", .string("as the client gave it").orNull),
        .init("reason", .string().orNull),
        .init("setBy", Peer.schema("the process that turned it on").orNull),
        .init("generation", .integer("grows with each decision about the namespace: for `ifGeneration`")),
        .init("expired", Expired.schema.orNull),
        .init("rules", .array(of: Rule.schema)),
        .init("warnings", Warning.list()),
    ]
}

extension BypassStatus {
    /// Of the contract's examples.
    static let example: BypassStatus = {
        let since = Timestamp(secondsSince1970: 1_795_540_333)
        return BypassStatus(
            netns: "web", inode: 4_026_546_047, state: .on, effective: true, effect: .all, redirected: true,
            direction: .both, since: since, expiresAt: Timestamp(secondsSince1970: 1_795_541_233), owner: "alice",
            reason: "INC-4711", setBy: .init(uid: 1000, gid: 1000, pid: 4711), generation: 1_764_004_333_512,
            rules: [.init(family: "inet", table: "kmesh_bypass", chain: "output", handle: 5, packets: 12, bytes: 720)],
            warnings: [.init(code: Warning.Code.establishedConnections.rawValue, message: "2 established ...")])
    }()
}

extension BypassStatus.Expired {
    static let schema = Schema.component(
        "ExpiredBypass",
        .object(
            "of a namespace that is off: its last bypass, if that had an owner and has expired",
            [
                .init("at", .string("RFC 3339, UTC", format: "date-time")),
                .init("owner", .string("as the client gave it").orNull),
            ]))
}

extension BypassStatus.Peer {
    static func schema(_ description: String) -> Schema {
        .component(
            "Peer",
            .object(
                "a process, as the kernel reports it",
                [
                    .init("uid", .integer(maximum: Int(UInt32.max))), .init("gid", .integer(maximum: Int(UInt32.max))),
                    .init("pid", .integer(maximum: Int(Int32.max))),
                ]), description)
    }
}

extension BypassStatus.Rule {
    static let schema = Schema.component(
        "Rule",
        .object(
            "one of the daemon's rules, with the kernel's counters",
            [
                .init("family", .string("`ip`, `ip6` or `inet`")), .init("table", .string()),
                .init("chain", .string()), .init("handle", .integer()), .init("packets", .integer()),
                .init("bytes", .integer()),
            ]))
}

extension BypassStatus.Warning {
    static let schema = Schema.component(
        "BypassWarning",
        .object(
            nil,
            [
                .init("code", codeSchema), .init("message", .string("for people")),
            ]))

    static let codeSchema = Schema.oneOf(
        Code.self, "for programs; later versions may have more", named: "WarningCode")

    static func list(_ description: String? = nil) -> Schema { .array(of: schema, description) }
}

extension Schema.Property {
    /// The warnings of an answer about all bypasses.
    static let omittedBypasses = Schema.Property(
        "warnings", BypassStatus.Warning.list("`truncated` if not all bypasses are shown"))
}

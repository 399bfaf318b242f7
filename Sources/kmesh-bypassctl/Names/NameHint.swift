internal import Console
internal import Linux

/// A suggestion for a name that leads to no namespace.
struct NameHint {
    /// As a clause; nil if nothing suggests itself.
    let text: String?

    /// - Parameter names: the files under /run/netns, as far as this user may see them.
    init(refused netns: String, names: @autoclosure () -> [String] = Self.files) {
        if netns.hasPrefix("pod:") {
            text = Self.podHint(netns.dropFirst(4))
        } else if let meant = Self.prefixed(netns) {
            text = "did you mean '\(meant)'?"
        } else if !netns.isEmpty, netns.utf8.allSatisfy({ (0x30...0x39).contains($0) }), netns.utf8.count <= 10 {
            text = "did you mean 'pid:\(netns)', the namespace of that process?"
        } else if let file = Self.file(netns) {
            text =
                file.meant(of: names()).map { "did you mean '\($0)'?" }
                ?? "'kmesh-bypassctl namespaces' lists what can be named"
        } else {
            text = nil
        }
    }

    /// To an error's message.
    static func clause(refused netns: String) -> String { NameHint(refused: netns).text.map { "; \($0)" } ?? "" }

    static var files: [String] { ((try? Files.entries(in: "/run/netns")) ?? []).map(\.name).sorted() }

    /// The file that a name, or a path under /run/netns, is for; nil if it is for no file there.
    private static func file(_ netns: String) -> String? {
        let folder = ["/run/netns/", "/var/run/netns/"].first { netns.hasPrefix($0) }
        let name = netns.dropFirst(folder?.count ?? 0)
        let isName = !name.contains("/") && (folder != nil || !name.contains(":"))
        return isName ? String(name) : nil
    }

    /// The same with its prefix, if that is missing or misspelt.
    private static func prefixed(_ netns: String) -> String? {
        if netns.contains("-"), isUID(netns) { return "pod:" + netns }
        if Workload(containerID: netns) != nil { return "container:" + netns }
        let parts = netns.split(separator: ":", maxSplits: 1)
        let prefixes = ["pid", "pod", "container"]
        guard parts.count == 2, !netns.contains("/"), !prefixes.contains(String(parts[0])) else { return nil }
        return String(parts[0]).nearest(of: prefixes).map { $0 + ":" + parts[1] }
    }

    // MARK: pods

    /// A suggestion for a pod that was given by its name; nil if it is a UID.
    private static func podHint(_ text: Substring) -> String? {
        if isUID(text) { return nil }
        if PodName(String(text)) != nil { return "did you mean '\(text)'?" }
        return PodName("pod/" + text).map { "pod: takes a UID, which '\($0.command.joined(separator: " "))' prints" }
    }

    /// The UID of a static pod has no dashes.
    private static func isUID(_ text: some StringProtocol) -> Bool {
        [32, 36].contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) || $0 == 0x2d }
    }
}

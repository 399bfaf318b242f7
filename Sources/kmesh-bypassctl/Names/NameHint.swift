internal import Console
internal import Linux

/// What may have been meant by a name of a namespace that the daemon has refused.
struct NameHint {
    /// As a clause; nil if nothing suggests itself.
    let text: String?

    /// - Parameter names: the files under /run/netns, as far as this user may see them.
    init(refused netns: String, names: @autoclosure () -> [String] = Self.files) {
        text =
            if netns.hasPrefix("pod:"), let command = Self.podCommand(String(netns.dropFirst(4))) {
                "pod: takes a UID, which '\(command)' prints"
            } else if !netns.isEmpty, netns.utf8.allSatisfy({ (0x30...0x39).contains($0) }), netns.utf8.count <= 10 {
                "did you mean 'pid:\(netns)', the namespace of that process?"
            } else if Workload(containerID: netns) != nil {
                "did you mean 'container:\(netns)'?"
            } else if !netns.contains("/"), !netns.contains(":"), let nearest = netns.nearest(of: names()) {
                "did you mean '\(nearest)'?"
            } else if !netns.contains("/"), !netns.contains(":") {
                "'kmesh-bypassctl namespaces' lists what can be named"
            } else {
                nil
            }
    }

    static var files: [String] { ((try? Files.entries(in: "/run/netns")) ?? []).map(\.name).sorted() }

    /// How the UID of a pod is found that was given by its name; nil if it is a UID, of which a static pod's has no dashes.
    private static func podCommand(_ text: String) -> String? {
        let isUID =
            [32, 36].contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) || $0 == 0x2d }
        return isUID ? nil : PodName("pod/" + text)?.command.joined(separator: " ")
    }
}

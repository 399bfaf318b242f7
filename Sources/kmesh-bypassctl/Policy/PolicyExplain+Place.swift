internal import Linux

extension PolicyExplain {
    /// Which namespace it is about.
    struct Place {
        var netns: String
        var names: [String] = []
        var isHost = false
        /// Why the namespace itself is not known.
        var obstacle: String?

        init(netns: String, names: [String] = [], isHost: Bool = false, obstacle: String? = nil) {
            self.netns = netns
            self.names = names
            self.isHost = isHost
            self.obstacle = obstacle
        }

        init(lookingUp netns: String) {
            self.netns = netns
            guard let reference = NamespaceReference(netns) else { return }
            do throws(NamespaceError) {
                let namespace = try reference.open()
                names = NamespaceReference.names(ofInode: namespace.inode)
                isHost = HostNamespace.inodes.contains(namespace.inode)
            } catch {
                obstacle = Self.words(for: error)
                isHost = reference.isFirstProcess
            }
        }

        private static func words(for error: NamespaceError) -> String {
            if case .notFound = error { return "there is no such namespace now" }
            if case .systemCall(let error) = error { return "\(error)" }
            return "it is no network namespace"
        }
    }
}

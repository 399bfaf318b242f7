internal import Linux

extension PolicyExplain {
    /// Which namespace it is about.
    struct Place {
        var netns: String
        var reference: String?
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
            self.reference = reference.canonical
            do throws(NamespaceError) {
                let namespace = try reference.open()
                names = ((try? NamespaceReference.named(inode: namespace.inode)) ?? []).map(\.canonical)
                isHost = HostNamespace.inodes.contains(namespace.inode)
            } catch {
                obstacle = Self.words(for: error)
                if case .firstProcess = error { isHost = true }
            }
        }

        private static func words(for error: NamespaceError) -> String {
            switch error {
            case .notFound: "there is no such namespace now"
            case .systemCall(let error), .firstProcess(let error): "\(error)"
            case .notFollowed(let sentence): sentence
            case .notNetworkNamespace, .hiddenFromCaller: "it is no network namespace"
            }
        }
    }
}

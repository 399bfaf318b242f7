internal import SystemPackage

/// Why a reference gave no network namespace.
public enum NamespaceError: Error, Hashable, Sendable {
    /// Nothing has that name. The text says what was looked for.
    case notFound(String)
    /// It is there, but is no network namespace.
    case notNetworkNamespace(String)
    /// It may be one, but to find out would be to do what whoever planted it wants. The text is a sentence that says why.
    case notFollowed(String)
    /// A path leads to no network namespace, and through a folder that not everybody may look into: who is not root learns
    /// no more than that.
    case concealed(String)
    /// It is the namespace of PID 1, which the kernel lets nobody look at here.
    case firstProcess(SystemCallError)
    case systemCall(SystemCallError)

    /// - Parameters:
    ///   - path: what was to be opened.
    ///   - process: whose namespace that is, as it is written in a path.
    init(_ error: SystemCallError, path: String, process: String? = nil) {
        switch error.errno {
        case _ where error == NetworkNamespace.notNetworkNamespace: self = .notNetworkNamespace(path)
        // A process that is gone has no directory in proc, one that is ending (a zombie) no namespace any more.
        case .noSuchFileOrDirectory, .notDirectory, .noSuchProcess, .tooManySymbolicLinkLevels, .fileNameTooLong:
            self = .notFound(path)
        case .permissionDenied where process == "1", .notPermitted where process == "1": self = .firstProcess(error)
        default: self = .systemCall(error)
        }
    }
}

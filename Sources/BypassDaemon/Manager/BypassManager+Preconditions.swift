internal import Bypass
internal import Datapath
internal import Linux

/// The conditions that a client makes, checked in the namespace's turn.
extension BypassManager {
    /// A decision that was made on an older generation is not executed.
    func checkGeneration(_ request: Request, in session: borrowing NamespaceSession) throws(BypassError) {
        guard let expected = request.ifGeneration else { return }
        let current = store.generation(of: session.inode, cookie: session.cookie)
        if expected == current { return }
        throw .conflict(
            "\(request.netns.asPartOfSentence) is at generation \(current), not \(expected): it was changed meanwhile, ask "
                + "for its status again")
    }

    /// A bypass of another owner is not touched by a caller that has asked for that.
    func checkOwner(_ request: Request, in session: borrowing NamespaceSession) throws(BypassError) {
        guard let owner = request.ifOwner, let record = store[session.inode], record.owner != owner,
            try entry(of: session.inode)?.isLive(at: BootClock.now) == true
        else { return }
        throw .conflict(
            "\(record.owner?.asPartOfSentence ?? "another user") has bypassed \(request.netns.asPartOfSentence) already: "
                + "nothing is changed until that bypass ends")
    }

    /// A namespace's entry in the matcher's map.
    private func entry(of inode: UInt64) throws(BypassError) -> MapEntry? {
        do throws(SystemCallError) {
            return try matcher.entry(of: inode)
        } catch {
            throw BypassError(error)
        }
    }
}

internal import Synchronization

/// Keeps work on one namespace serial, without a thread that waits: work that finds its namespace busy is left for the
/// thread that is busy with it.
final class NamespaceLanes: Sendable {
    typealias Work = @Sendable () -> Void

    /// What waits, by inode. A namespace that is there, even with nothing waiting, is being worked on.
    private let waiting = Mutex<[UInt64: [Work]]>([:])

    /// Runs `work` on the calling thread, or leaves it for the thread that has the namespace.
    func run(_ inode: UInt64, _ work: @escaping Work) {
        let isBusy = waiting.withLock { waiting in
            guard waiting[inode] != nil else {
                waiting[inode] = []
                return false
            }
            waiting[inode]?.append(work)
            return true
        }
        if isBusy { return }
        work()
        while let next = takeNext(inode) { next() }
    }

    /// nil, and the namespace is free, if nothing waits.
    private func takeNext(_ inode: UInt64) -> Work? {
        waiting.withLock { waiting in
            guard let queue = waiting[inode], !queue.isEmpty else {
                waiting[inode] = nil
                return nil
            }
            return waiting[inode]?.removeFirst()
        }
    }
}

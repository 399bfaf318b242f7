internal import CBypassABI
internal import CLibbpf
package import Linux
internal import Synchronization

/// The matcher's program in the kernel with its map, before it is pinned.
struct LoadedMatcher: ~Copyable, Sendable {
    let program: OwnedDescriptor
    let map: OwnedDescriptor
    /// The ID of the map that was pinned when the program was loaded; nil if none was. One of this version is `map`.
    let earlier: UInt32?

    /// Loads the program for what is pinned in `folder`, where nothing is changed.
    static func load(for folder: String) throws(MatcherError) -> LoadedMatcher {
        try Matcher.checkFileSystem(of: folder)
        guard Files.exists("/sys/kernel/btf/vmlinux") else { throw .noBTF }
        // A socket filter reads packets and changes nothing: libbpf's messages add nothing to the error.
        unsafe libbpf_set_print(nil)
        guard let earlier = try MatcherMap.pinned(at: folder + "/" + BYPASS_MAP_PIN) else {
            return try mapError(try load(reusing: nil, earlier: nil))
        }
        let reused = earlier.isOfThisVersion ? earlier.descriptor.rawValue : nil
        return try mapError(try load(reusing: reused, earlier: MapInformation(earlier.descriptor).id))
    }

    private static func load(reusing map: CInt?, earlier: UInt32?) throws(SystemCallError) -> LoadedMatcher {
        let object = try MatcherObject.load(reusing: map)
        return LoadedMatcher(program: try object.program(), map: try object.map(), earlier: earlier)
    }
}

/// Loads the matcher on a thread of its own: fitting it to the kernel and having it verified takes most of a start's time.
package final class MatcherLoader: Sendable {
    /// What the thread has done; locked while it works.
    private final class Work: Sendable {
        let outcome = Mutex<Result<LoadedMatcher, MatcherError>?>(nil)

        func run(_ folder: String) {
            outcome.withLock { outcome in
                do throws(MatcherError) {
                    outcome = .success(try .load(for: folder))
                } catch {
                    outcome = .failure(error)
                }
            }
        }
    }

    private let folder: String
    private let work = Work()
    private let thread: Thread

    /// - Throws: EAGAIN if the process may have no more threads.
    package init(for folder: String) throws(SystemCallError) {
        self.folder = folder
        thread = try Thread.start("matcher") { [work] in work.run(folder) }
    }

    // The process may be about to end, because of something else: not while libbpf works.
    deinit { thread.join() }

    /// Waits for the thread, and takes over or makes the pins. To be called once, when no other daemon uses the folder.
    package func pin() throws(MatcherError) -> Matcher {
        thread.join()
        guard let outcome = work.outcome.withLock({ $0.take() }) else { preconditionFailure("called once") }
        return try Matcher.pin(try outcome.get(), into: folder)
    }
}

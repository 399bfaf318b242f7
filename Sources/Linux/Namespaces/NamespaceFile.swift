internal import CLinux
internal import Glibc
internal import SystemPackage

/// An open file of the calling thread's folder in proc, such as `net/dev`: what is in `net` is of the network namespace that
/// the thread was in. It can be read again and again, from any namespace, and keeps its own alive until it is closed.
package final class NamespaceFile: Sendable {
    private let name: StaticString
    private let descriptor: OwnedDescriptor
    private static let maxBytes = 1 << 20

    /// In a network namespace of another user namespace, some of these files are that user's and closed to all others. To open
    /// one of them CAP_DAC_READ_SEARCH is raised: nothing that a client names is opened with it.
    package init(_ name: StaticString) throws(SystemCallError) {
        func open() throws(SystemCallError) -> OwnedDescriptor {
            OwnedDescriptor(
                adopting: try systemCall("open /proc/thread-self/\(name)") {
                    unsafe clinux_open_in_task(UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self))
                })
        }
        self.name = name
        do {
            descriptor = try open()
        } catch {
            let denied = error
            guard denied.errno == .permissionDenied else { throw denied }
            do { descriptor = try Capabilities.withRaised(.dacReadSearch, open) } catch {
                // The process may not have the capability.
                throw error.errno == .notPermitted ? denied : error
            }
        }
    }

    /// What is in it now.
    package func read() throws(SystemCallError) -> [UInt8] {
        try unsafe withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { (chunk) throws(SystemCallError) in
            var contents: [UInt8] = []
            while contents.count < Self.maxBytes, let start = chunk.baseAddress {
                let count = try unsafe read(start, chunk.count, at: contents.count)
                if count == 0 { break }
                unsafe contents += chunk[..<count]
            }
            return contents
        }
    }

    package var isEmpty: Bool {
        get throws(SystemCallError) {
            var first: UInt8 = 0
            return try unsafe read(&first, 1, at: 0) == 0
        }
    }

    private func read(_ start: UnsafeMutableRawPointer, _ count: Int, at offset: Int) throws(SystemCallError) -> Int {
        let number = descriptor.rawValue
        return try systemCall("read /proc/thread-self/\(name)") { unsafe pread(number, start, count, offset) }
    }
}

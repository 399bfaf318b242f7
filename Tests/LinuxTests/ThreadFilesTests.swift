import Glibc
import Testing

@testable import Linux

@Suite(.serialized) struct ThreadFilesTests {
    @Test("A file of the calling thread's is read whole, however often")
    func read() throws {
        for _ in 0..<3 {
            let text = String(decoding: try NamespaceFile("net/dev").read(), as: UTF8.self)
            #expect(text.hasPrefix("Inter-|") && text.hasSuffix("\n") && text.contains("lo:"))
        }
        #expect(throws: SystemCallError.self) { try NamespaceFile("net/nothing").read() }
    }

    @Test("Each thread has a folder of its own, closed when it ends")
    func threads() throws {
        func open() throws -> Int {
            try Files.entries(in: "/proc/self/fd").count { entry in
                Files.link("/proc/self/fd/" + entry.name)?.contains("/task/") ?? false
            }
        }
        _ = try NamespaceFile("comm").read()
        let before = try open()
        for number in 0..<50 {
            let thread = try Thread.start("t\(number)") {
                let name = (try? NamespaceFile("comm").read()) ?? []
                precondition(String(decoding: name, as: UTF8.self) == "t\(number)\n")
            }
            thread.join()
        }
        // A thread's end is seen a moment before its descriptors are gone.
        for _ in 0..<100 where try open() > before { usleep(10_000) }
        #expect(try open() <= before)
    }
}

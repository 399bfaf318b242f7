import Linux
import Testing

@testable import BypassDaemon

@Suite struct LocalAccountNamesTests {
    private let path = temporaryPath("passwd")

    private func write(_ name: String) throws {
        try Files.write(Array("\(name):x:1000:1000::/:/bin/sh\n".utf8), to: path)
    }

    @Test("A user has the name that the file gives, and soon the name that it gives by then")
    func renamed() throws {
        defer { try? Files.remove(path) }
        let names = LocalAccountNames(path: path)
        #expect(names.name(of: 1000) == nil, "before there is a file")
        try write("alice")
        #expect(names.name(of: 1000) == "alice")
        #expect(names.name(of: 1001) == nil)
        try write("bob")
        #expect(eventually { names.name(of: 1000) == "bob" })
    }
}

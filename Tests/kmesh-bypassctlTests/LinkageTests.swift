import BypassAPI
import Linux
import MeshSandbox
import Testing

/// The client runs on a machine without the libraries of the kernel side.
@Suite struct LinkageTests {
    private static let kernelLibraries = ["libbpf", "libnftnl", "libmnl"]

    @Test func `kmesh-bypassctl needs none of the kernel side's libraries`() throws {
        let needed = try ELF.neededLibraries(of: path(of: "kmesh-bypassctl"))
        #expect(needed.contains { $0.hasPrefix("libc.so") }, "\(needed)")
        for library in Self.kernelLibraries {
            #expect(!needed.contains { $0.hasPrefix(library) }, "\(needed)")
        }
    }

    /// Otherwise the test above could pass because it reads the wrong thing.
    @Test func `The daemon needs them all`() throws {
        let needed = try ELF.neededLibraries(of: path(of: Product.name))
        for library in Self.kernelLibraries {
            #expect(needed.contains { $0.hasPrefix(library) }, "\(needed)")
        }
    }

    private func path(of program: String) throws -> String {
        try #require(DaemonProcess.builtExecutable(program), "\(program) is not built")
    }
}

/// As much of elf(5) as it takes to read which libraries a 64-bit little-endian program is linked to.
private enum ELF {
    struct Malformed: Error {
        var path: String
    }

    static func neededLibraries(of path: String) throws -> [String] {
        let file = try Files.read(path, limit: 1 << 30)
        func number(_ offset: Int, _ size: Int) -> Int {
            file[offset..<offset + size].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        guard file.count > 64, file.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]) else { throw Malformed(path: path) }
        // Program headers: type, offset in the file, address and size of each segment.
        let headers = (0..<number(56, 2)).map { number(32, 8) + $0 * number(54, 2) }
        let segments = headers.map {
            (type: number($0, 4), offset: number($0 + 8, 8), address: number($0 + 16, 8), size: number($0 + 32, 8))
        }
        guard let dynamic = segments.first(where: { $0.type == 2 }) else { throw Malformed(path: path) }
        let entries = stride(from: dynamic.offset, to: dynamic.offset + dynamic.size, by: 16).map {
            (tag: number($0, 8), value: number($0 + 8, 8))
        }
        // DT_STRTAB is an address; its segment says where that is in the file.
        guard let strings = entries.first(where: { $0.tag == 5 })?.value,
            let segment = segments.first(where: {
                $0.type == 1 && $0.address <= strings && strings < $0.address + $0.size
            })
        else { throw Malformed(path: path) }
        return entries.filter { $0.tag == 1 }.map { entry in
            let start = strings - segment.address + segment.offset + entry.value
            return String(decoding: file[start...].prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

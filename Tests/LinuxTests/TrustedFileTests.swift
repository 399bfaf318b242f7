import Glibc
import Linux
import Testing

@Suite struct TrustedFileTests {
    @Test("A file of root's that only root can write is believed, with all its bytes")
    func good() throws {
        try withFolder { folder in
            let bytes = [UInt8](repeating: 7, count: 100_000)
            try Files.write(bytes, to: folder + "/f")
            for mode: mode_t in [0o644, 0o600, 0o755, 0o444] {
                try #require(unsafe chmod(folder + "/f", mode) == 0)
                let file = try #require(try TrustedFile.read(folder + "/f", limit: 100_000))
                #expect(file.contents == bytes)
                #expect(file.untrustedReason == nil)
            }
            // As people do who keep their configuration elsewhere.
            try #require(unsafe symlink("f", folder + "/link") == 0)
            #expect(try TrustedFile.read(folder + "/link", limit: 100_000)?.contents == bytes)
        }
    }

    @Test(
        "A user who can write the file could become root: that is reported",
        arguments: [0o664, 0o646, 0o602, 0o620] as [mode_t])
    func writable(_ mode: mode_t) throws {
        try withFolder { folder in
            try Files.write([], to: folder + "/f")
            try #require(unsafe chmod(folder + "/f", mode) == 0)
            let untrustedReason = try #require(try TrustedFile.read(folder + "/f", limit: 10)?.untrustedReason)
            #expect(
                untrustedReason.contains(folder + "/f can be written by others")
                    && untrustedReason.contains("chmod 0644"))
        }
    }

    @Test("The file has to be root's")
    func owner() throws {
        try withFolder { folder in
            try Files.write([], to: folder + "/f")
            try #require(unsafe chown(folder + "/f", 65534, 0) == 0)
            let untrustedReason = try #require(try TrustedFile.read(folder + "/f", limit: 10)?.untrustedReason)
            #expect(untrustedReason.contains("belongs to uid 65534") && untrustedReason.contains("chown root:root"))
        }
    }

    @Test("A missing file is not an error; a link that leads nowhere is")
    func missing() throws {
        try withFolder { folder in
            #expect(try TrustedFile.read(folder + "/f", limit: 10) == nil)
            #expect(try TrustedFile.read(folder + "/no/f", limit: 10) == nil)
            try #require(unsafe symlink("nowhere", folder + "/f") == 0)
            let error = try #require(throws: TrustedFileError.self) { try TrustedFile.read(folder + "/f", limit: 10) }
            #expect(error.description == "cannot open \(folder)/f: No such file or directory")
        }
    }

    @Test("What is not a file, or a large one, is refused at once", .timeLimit(.minutes(1)))
    func odd() throws {
        try withFolder { folder in
            try #require(unsafe mkfifo(folder + "/fifo", 0o600) == 0)
            try Files.write([1, 2, 3], to: folder + "/f")
            for (path, word) in [
                (folder + "/fifo", "not a file"), (folder, "not a file"), ("/dev/zero", "not a file"),
                (folder + "/f", "larger than 2 bytes"), (folder + "/f/x", "Not a directory"),
            ] {
                let error = try #require(throws: TrustedFileError.self) { try TrustedFile.read(path, limit: 2) }
                #expect(error.description.contains(path) && error.description.contains(word), "\(error)")
            }
        }
    }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/kmesh-bypass-settings-\(getpid())-\(UInt32.random(in: 0...(.max)))"
        try Files.makeFolder(folder)
        defer {
            for entry in (try? Files.entries(in: folder)) ?? [] { try? Files.remove(folder + "/" + entry.name) }
            unsafe rmdir(folder)
        }
        try body(folder)
    }
}

internal import Bypass
internal import BypassAPI
internal import BypassClient
internal import Console
internal import Linux
internal import StrictJSON
internal import Subprocess
internal import SystemPackage

/// The contents of `support`'s archive: texts by file name. If one cannot be collected, its file says why.
struct SupportReport {
    private(set) var files: [(name: String, text: String)] = []

    /// - Parameters:
    ///   - netns: the only namespace whose names are in it.
    ///   - socket: the daemon's.
    static func collect(_ netns: String, socket: String, bpffs: String) async -> SupportReport {
        var report = SupportReport()
        var others = NameHint.files
        var inode: Int?
        report.add("versions.txt", await versions())
        do throws(BypassClientError) {
            let client = try await BypassClient.connect(to: socket)
            report.add("info.json", await answer { try await client.answer(InfoMethod.self, with: .init()).json })
            report.add(
                "status.json",
                await answer {
                    let status = try await client.answer(StatusMethod.self, with: .init(netns: netns))
                    inode = Int(status.result.inode)
                    return status.json
                })
            report.add(
                "explain.json",
                await answer { try await client.answer(ExplainMethod.self, with: .init(netns: netns)).json })
            others += ((try? await client.list()) ?? []).filter { Int($0.inode) != inode }
                .flatMap { [$0.netns] + ($0.owner.map { [$0] } ?? []) }
            await client.close()
        } catch {
            report.add("status.json", "not collected: \(error)\n")
        }
        for (name, command) in rules(netns) { report.add(name, await output(of: command)) }
        let findings = await Doctor.findings(bpffs: bpffs, repairs: false, socket: socket)
        report.add("doctor.json", ((try? JSONEncoding.text(of: ["findings": findings])) ?? "") + "\n")
        report.add(
            "audit.txt",
            await output(
                of: [
                    "journalctl", "--no-pager", "--lines=200", "--output=short-iso", "--identifier=\(Product.name)",
                ] + auditFilter(netns, inode, boot: try? Files.text("/proc/sys/kernel/random/boot_id"))))
        let redaction = Redaction(names: others, except: netns)
        report.files = report.files.map { ($0.name, redaction.apply(to: $0.text)) }
        return report
    }

    /// Matches of journalctl(1) for the audit records of a namespace, whatever it was called in a call. Another one may have
    /// had its inode number in an earlier boot.
    static func auditFilter(_ netns: String, _ inode: Int?, boot: String?) -> [String] {
        let named = "KMESH_NETNS=\(netns)"
        guard let inode, let boot else { return [named] }
        return [named, "+", "_BOOT_ID=\(boot.filter(\.isHexDigit))", "KMESH_INODE=\(inode)"]
    }

    private mutating func add(_ name: String, _ text: String) { files.append((name, text)) }

    /// Writes an archive that only this user can read. It is made in a folder that is this user's alone, and then moved:
    /// where others may write, they could have put a file of their own in its place.
    func write(to archive: String, folder: String) async throws {
        let temporary = String(try await Self.run("mktemp", "--directory").dropLast())
        do {
            let made = temporary + "/archive"
            try Files.makeFolder(temporary + "/" + folder)
            for file in files { try Files.write(Array(file.text.utf8), to: "\(temporary)/\(folder)/\(file.name)") }
            // tar keeps the mode of a file that is there.
            try Files.write([], to: made)
            try await Self.run("tar", "-czf", made, "-C", temporary, folder)
            try await Self.run("mv", "--no-target-directory", "--", made, archive)
        } catch {
            _ = try? await Self.run("rm", "-r", "--", temporary)
            guard let error = error as? SystemCallError else { throw error }
            throw CommandFailure("the archive cannot be written: \(error)", .failed, kind: "archive")
        }
        try await Self.run("rm", "-r", "--", temporary)
    }

    @discardableResult
    private static func run(_ command: String...) async throws -> String {
        let reason: String
        do {
            let result = try await Subprocess.run(
                .name(command[0]), arguments: Arguments(Array(command.dropFirst())), output: .string(limit: 1 << 16),
                error: .string(limit: 1 << 16))
            if result.terminationStatus.isSuccess { return result.standardOutput }
            reason = result.standardError
        } catch {
            reason = "\(error)"
        }
        throw CommandFailure("the archive cannot be written: \(command[0]): \(reason)", .failed, kind: "archive")
    }

    // MARK: parts

    private static func versions() async -> String {
        let system = (try? Files.text("/etc/os-release"))?.split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }
        return "kmesh-bypassctl \(Product.fullVersion)\n" + ((try? Files.text("/proc/version")) ?? "")
            + "\(system ?? "")\n" + (await output(of: ["nft", "--version"]))
            + (await output(of: ["iptables", "--version"]))
    }

    /// The commands that list the rules. Without root, they say so.
    private static func rules(_ netns: String) -> [(name: String, command: [String])] {
        let path: String? =
            switch NamespaceReference(netns) {
            case .name(let name): "/run/netns/" + name
            case .path(let path): path
            case .pid(let pid): "/proc/\(pid)/ns/net"
            case .workload(let workload):
                (try? workload.processes().get().first).map { "/proc/\($0.pid)/ns/net" }
            case .host, nil: nil
            }
        guard let path else { return [] }
        let enter = ["nsenter", "--net=" + path]
        return [
            ("nft.txt", enter + ["nft", "list", "ruleset"]),
            ("iptables-legacy.txt", enter + ["iptables-legacy-save"]),
            ("ip6tables-legacy.txt", enter + ["ip6tables-legacy-save"]),
        ]
    }

    private static func answer(_ call: () async throws -> String) async -> String {
        do { return try await call() + "\n" } catch { return "not collected: \(error)\n" }
    }

    /// The output of a program, or the reason that there is none.
    private static func output(of command: [String]) async -> String {
        do {
            let result = try await Subprocess.run(
                .name(command[0]), arguments: Arguments(Array(command.dropFirst())), output: .string(limit: 4 << 20),
                error: .string(limit: 1 << 16))
            if result.terminationStatus.isSuccess { return result.standardOutput }
            return "not collected: \(command.joined(separator: " ")): \(result.standardError)\n"
        } catch {
            return "not collected: \(command.joined(separator: " ")): \(error)\n"
        }
    }
}

/// Replaces what is not about the namespace of a report.
struct Redaction {
    private let names: Set<String>
    /// Names that are not one word, as they are and as they are shown.
    private let phrases: [String]

    /// - Parameters:
    ///   - names: of other namespaces, and of the owners of their bypasses.
    ///   - own: the namespace that the report is about.
    init(names: [String], except own: String) {
        let last = own.split(separator: "/").last.map(String.init)
        self.names = Set(names).subtracting([own, last ?? own])
        phrases = self.names.filter { !$0.isEmpty && !$0.allSatisfy(Self.isPartOfWord) }
            .flatMap { Set([$0, $0.printable]) }.sorted { $0.count > $1.count }
    }

    func apply(to text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            withoutComment(withoutNames(phrases.reduce(String(line)) { $0.replacing($1, with: "OTHER") }))
        }.joined(separator: "\n")
    }

    private static func isPartOfWord(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || "/._-:@".contains(character)
    }

    /// Whole words only: a namespace may be called as a part of another word.
    private func withoutNames(_ line: String) -> String {
        var result = ""
        var word = ""
        func close() {
            // What ends a sentence, or a key, is not a part of the name.
            let name = word.reversed().drop { ".:".contains($0) }.reversed().map(String.init).joined()
            let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            let shown = names.contains(name) ? ["OTHER"] : parts.map { names.contains($0) ? "OTHER" : $0 }
            result += shown.joined(separator: "/") + word.dropFirst(name.count)
            word = ""
        }
        for character in line {
            if Self.isPartOfWord(character) {
                word.append(character)
            } else {
                close()
                result.append(character)
            }
        }
        close()
        return result
    }

    /// nftables' `comment "..."` and iptables' `--comment "..."`.
    private func withoutComment(_ line: String) -> String {
        line.replacing(#/(--comment|comment) ("(?:[^"\\]|\\.)*"|[^\s"-][^\s"]*)/#) { "\($0.1) \"OMITTED\"" }
    }
}

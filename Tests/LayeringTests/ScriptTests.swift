import Linux
import Testing

/// The pages name options and variables that the scripts have, and CI runs the README's commands.
@Suite struct ScriptTests {
    private static func text(_ path: String) throws -> String { try Files.text(Repository.root + "/" + path) }

    /// What a script does not take itself, it gives to `swift test`.
    private static let ofSwift = ["--filter", "--skip"]

    /// What Tests/run.sh gives to another script, as it is.
    private static func ofBareMachine(_ script: Substring) throws -> String {
        script == "Tests/run.sh" ? try text("Tests/BareMachine/run.sh") : ""
    }

    @Test("Scripts have the options and variables that pages and CI give them")
    func options() throws {
        let pages = try Files.entries(in: Repository.root + "/proto-docs").map { "proto-docs/" + $0.name }
            .filter { $0.hasSuffix(".md") }
        let all = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", ".ci/run"] + pages
        var count = 0
        for page in all {
            let text = try Self.text(page)
            for match in text.matches(of: #/((?:[A-Z]+=\S+ )*)((?:systemd|Tests)\/[\w\/]+\.sh)((?: \[?[\w.|'-]+\]?)*)/#)
            {
                let script = try Self.text(String(match.2)) + Self.ofBareMachine(match.2)
                for variable in match.1.split(separator: " ") {
                    let name = variable.prefix { $0 != "=" }
                    #expect(script.contains("\(name)="), "\(page): \(match.2) has no variable \(name)")
                    count += 1
                }
                for word in match.3.split(separator: " ") {
                    let option = String(word.filter { !"[]'".contains($0) })
                    guard option.hasPrefix("--"), !Self.ofSwift.contains(option) else { continue }
                    // In its `case`, alone or beside others.
                    let pattern = try Regex("(^|[ |])\(option)( \\||\\))").anchorsMatchLineEndings()
                    #expect(script.contains(pattern), "\(page): \(match.2) has no option \(option)")
                    count += 1
                }
            }
        }
        #expect(count > 30)
    }

    @Test("The README has the commands that the test on a bare machine pastes: both scripts")
    func pasted() throws {
        let test = try Self.text("Tests/BareMachine/run.sh")
        let lines = test.matches(of: #/pasted '([^']+)'/#).map { String($0.1) }
        #expect(lines == ["sudo systemd/install.sh", "sudo Tests/run.sh"])
        let readme = try Self.text("README.md")
        for line in lines { #expect(readme.contains("\n```\n\(line)\n"), "\(line)") }
        #expect(readme.contains("\n```\nsudo Tests/run.sh\n```\n"), "a block with nothing else")
    }

    @Test("CI runs the README's tests: what one step leaves out, another runs")
    func steps() throws {
        let ci = try Self.text(".ci/run")
        let skipped = try #require(ci.firstMatch(of: #/step "tests" Tests\/run.sh --skip '([^']+)'/#)).1
        let script = try Self.text("Tests/run.sh")
        var run: Set<Substring> = []
        for mode in script.matches(of: #/\n(--\w+)\)\n(?:    .*\n)*?    set -- --filter '?([^'\n]+)'?\n/#)
        where ci.contains(try Regex("step .* Tests/run.sh \(mode.1)")) {
            run.formUnion(mode.2.split(separator: "|"))
        }
        // Its minutes are of `--walk`, which the file says CI does not run.
        run.insert("VanishedPacketsTests")
        #expect(Set(skipped.split(separator: "|")) == run)
    }
}

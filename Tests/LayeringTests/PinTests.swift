import StrictJSON
import Testing

@testable import Linux

/// Package.resolved is not kept, so Package.swift alone says which versions are built in.
@Suite struct PinTests {
    /// The build folder that this test is in: it has the checkouts.
    private static let build: String? = {
        guard var folder = Files.link("/proc/self/exe") else { return nil }
        while !folder.isEmpty, !Files.exists(folder + "/workspace-state.json") {
            folder = folder.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        }
        return folder.isEmpty ? nil : folder
    }()

    @Test("Every package that was resolved is the one that Package.swift names, and there is no other")
    func pins() throws {
        let build = try #require(Self.build)
        let manifest = try Files.text(Repository.root + "/Package.swift")
        #expect(!manifest.contains("from: \""), "a version that is not exact")
        var named: [String: String] = [:]
        for match in manifest.matches(
            of: #/"(?:https:\/\/github\.com\/)?[\w-]+\/([\w-]+)", (?:exact: )?"(\d+\.\d+\.\d+)"/#)
        {
            named[match.1.lowercased()] = String(match.2)
        }
        let state = try JSONReader.read(Files.text(build + "/workspace-state.json"))
        var resolved: [String: String] = [:]
        for dependency in state.object?["object"]?.object?["dependencies"]?.array ?? [] {
            let name = try #require(dependency.object?["packageRef"]?.object?["identity"]?.string)
            resolved[name] =
                dependency.object?["state"]?.object?["checkoutState"]?.object?["version"]?.string ?? "no version"
        }
        #expect(resolved.count > 20)
        #expect(resolved == named)
    }
}

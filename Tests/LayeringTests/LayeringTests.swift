import Linux
import Testing

/// Who may import whom. SwiftPM does not notice a layer that is skipped: this does.
@Suite struct LayeringTests {
    /// Targets that know no operating system.
    private static let pure: Set<String> = ["Bypass", "BypassAPI", "JSONRPC", "PodBypass", "Retry", "StrictJSON"]
    /// What comes with the compiler, for all others.
    private static let toolchain: Set<String> = ["Glibc", "Synchronization"]

    private static let layers: [String: Set<String>] = [
        "kmesh-bypassd": [
            "BypassDaemon", "BypassRepair", "BypassAPI", "Console", "StrictJSON", "Linux", "Logging",
        ],
        "BypassRepair": ["Bypass", "BypassAPI", "Datapath", "Linux"],
        // Nothing that links libbpf, libnftnl or libmnl: `LinkageTests` reads the built program.
        "kmesh-bypassctl": [
            "BypassClient", "Bypass", "BypassAPI", "Console", "Commands", "SignalHandling", "BypassPolicy", "Linux",
            "StrictJSON", "JSONRPC", "Subprocess", "SystemPackage", "ArgumentParser",
        ],
        "kubectl-bypass": [
            "PodBypass", "Bypass", "BypassAPI", "Kubernetes", "Console", "Commands", "StrictJSON", "Linux",
            "ArgumentParser",
        ],
        "Console": ["Bypass", "BypassAPI", "Linux"],
        "Commands": ["Console", "ArgumentParser"],
        "SignalHandling": ["UnixSignals"],
        "kmesh-bypass-demo": [
            "MeshSandbox", "BypassClient", "BypassAPI", "Console", "Commands", "SignalHandling", "ArgumentParser",
        ],
        "BypassDaemon": [
            "Linux", "Netfilter", "Datapath", "StrictJSON", "JSONRPC", "BypassAPI", "Bypass", "BypassPolicy", "Retry",
            "Logging", "CoreMetrics", "PrometheusMetrics", "SystemPackage",
        ],
        "BypassClient": ["BypassAPI", "StrictJSON", "JSONRPC", "Retry", "NIOCore", "NIOPosix"],
        "MeshSandbox": ["Linux", "CLinux", "Subprocess", "SystemPackage"],
        "kmesh-bypass-controller": [
            "BypassController", "BypassAPI", "Kubernetes", "Commands", "Console", "Linux", "ArgumentParser",
            "ServiceLifecycle", "UnixSignals", "Logging",
        ],
        "BypassController": [
            "PodBypass", "BypassClient", "BypassAPI", "StrictJSON", "Kubernetes", "Linux", "Retry", "PrometheusMetrics",
            "NIOCore", "NIOPosix",
            "NIOHTTP1", "AsyncHTTPClient", "Logging", "CoreMetrics", "ServiceLifecycle",
        ],
        "Kubernetes": [
            "StrictJSON", "Linux", "Retry", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOSSL", "AsyncHTTPClient", "Yams",
            "FoundationEssentials", "Subprocess", "SystemPackage",
        ],
        "PodBypass": ["BypassAPI"],
        "PrometheusMetrics": ["CoreMetrics"],
        "Datapath": ["Bypass", "BypassAPI", "Netfilter", "Linux", "CBypassABI", "CLibbpf", "SystemPackage"],
        "BypassPolicy": ["Bypass", "BypassAPI", "Linux"],
        "Bypass": ["BypassAPI"],
        "BypassAPI": ["StrictJSON", "JSONRPC", "CBuildVersion"],
        "JSONRPC": ["StrictJSON"],
        "StrictJSON": [],
        "Retry": [],
        "Netfilter": ["Linux", "CLinux", "CLibmnl", "CLibnftnl", "SystemPackage"],
        "Linux": ["CLinux", "SystemPackage"],
    ]

    private static let cTargets: Set<String> = ["CBuildVersion", "CLinux", "CLibbpf", "CLibmnl", "CLibnftnl"]

    @Test("Every file imports only what its layer may")
    func imports() throws {
        let files = try Repository.swiftFiles(in: "Sources")
        #expect(files.count > 80)
        for file in files {
            let common = Self.pure.contains(file.target) ? [] : Self.toolchain
            let foreign = file.imports.subtracting(Self.layers[file.target] ?? []).subtracting(common)
            #expect(foreign.isEmpty, "\(file) imports \(foreign.sorted())")
        }
    }

    @Test("Every folder of Sources has its row, and every row its folder")
    func targets() throws {
        let folders = Set(try Files.entries(in: Repository.root + "/Sources").map(\.name))
        #expect(folders == Set(Self.layers.keys).union(Self.cTargets))
    }

    @Test("No module imports Foundation")
    func foundation() throws {
        for folder in ["Sources", "Tests"] {
            for file in try Repository.swiftFiles(in: folder) {
                #expect(!file.imports.contains("Foundation"), "\(file)")
            }
        }
    }

    /// Test targets define none, so the code behind it would never be built.
    @Test("No test is left out by a condition")
    func conditions() throws {
        for file in try Repository.swiftFiles(in: "Tests") where file.target.hasSuffix("Tests") {
            #expect(file.text.firstMatch(of: #/(?m)^ *#if /#) == nil, "\(file)")
        }
    }

    @Test("unsafe stays where C is spoken to")
    func unsafe() throws {
        let targets: Set<String> = ["Linux", "Netfilter", "Datapath", "MeshSandbox"]
        let files: Set<String> = [
            "Sources/BypassDaemon/Startup/JournalLogHandler.swift", "Sources/Console/Console.swift",
            // The bytes of literals and strings are copied whole: there is no other way to do it at once.
            "Sources/StrictJSON/JSONText.swift",
        ]
        let found = try Repository.swiftFiles(in: "Sources").filter {
            !targets.contains($0.target) && $0.words.contains("unsafe")
        }
        #expect(Set(found.map(\.path)) == files)
    }

    @Test("The root of the repository holds nothing new")
    func topLevel() throws {
        let ignored = Set(try Files.text(Repository.root + "/.gitignore").split(separator: "\n").map(String.init))
        let names = try Files.entries(in: Repository.root).map(\.name).filter {
            !$0.hasPrefix(".") && !ignored.contains($0)
        }
        #expect(
            Set(names) == [
                "Package.swift", "Sources", "Tests", "bpf", "systemd", "proto-docs", "README.md", "ARCHITECTURE.md",
                "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE", "NOTICE",
            ])
    }

    @Test(
        "Files and folders that the documents name exist",
        arguments: ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
    func documents(_ name: String) throws {
        let folders = ["Sources", "Tests", "bpf", "systemd", "proto-docs"]
        let sources = try Repository.swiftFiles(in: "Sources") + Repository.swiftFiles(in: "Tests")
        let text = try Files.text(Repository.root + "/" + name)
        for word in text.split(whereSeparator: { !($0.isLetter || $0.isNumber || "/._+-".contains($0)) }) {
            // What a full stop ends is a name still.
            let name = String(word.hasSuffix(".") ? word.dropLast() : word)
            if name.hasSuffix(".swift"), name != "Package.swift" {
                #expect(sources.contains { ("/" + $0.path).hasSuffix("/" + name) }, "\(name)")
            } else if folders.contains(where: { name.hasPrefix($0 + "/") }) {
                #expect(Files.exists(Repository.root + "/" + name), "\(name)")
            }
        }
    }

    @Test("Every link of a document to another file leads to one")
    func links() throws {
        let pages = try Files.entries(in: Repository.root + "/proto-docs").map { "proto-docs/" + $0.name }
        for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] + pages
        where page.hasSuffix(".md") {
            let folder = page.hasPrefix("proto-docs/") ? "/proto-docs/" : "/"
            let text = try Files.text(Repository.root + "/" + page)
            for match in text.matches(of: #/\]\(([^)#:]+)(#[^)]*)?\)/#) {
                #expect(Files.exists(Repository.root + folder + match.1), "\(page): \(match.1)")
            }
        }
    }

    @Test("ARCHITECTURE names every module")
    func modules() throws {
        let text = try Files.text(Repository.root + "/ARCHITECTURE.md")
        for module in try Files.entries(in: Repository.root + "/Sources") {
            #expect(text.contains("`\(module.name)`"), "\(module.name)")
        }
    }

    @Test("No file is longer than 300 lines", arguments: ["Sources", "Tests", "bpf"])
    func length(_ folder: String) throws {
        for file in try Repository.files(in: folder) {
            let length = file.lines.count - (file.text.hasSuffix("\n") ? 1 : 0)
            #expect(length <= 300, "\(file) has \(length) lines")
        }
    }

    @Test("Imports and words are found in whatever form they are written")
    func scanner() {
        let text = """
            // import Foundation
            internal import Linux
            @testable public import struct NIOCore.ByteBuffer
            import Glibc  // unsafe
            let text = "unsafe import Datapath"
            let start = unsafe pointer.pointee
            """
        let file = Repository.File(path: "Sources/A/a.swift", text: text)
        #expect(file.imports == ["Linux", "NIOCore", "Glibc"])
        #expect(file.words.contains("unsafe"))
        let safe = Repository.File(path: "Sources/A/a.swift", text: "// unsafe\nlet unsafely = \"unsafe\"  // unsafe\n")
        #expect(!safe.words.contains("unsafe"))
    }
}

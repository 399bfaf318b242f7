// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target is compiled with: warnings are errors, memory safety is strict.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// Tests can have system calls fail, and the daemon die at them: in debug builds.
let faultPoints = SwiftSetting.define("FAULT_POINTS", .when(configuration: .debug))

/// The commit that is built, and `-modified` if files differ from it: systemd/setup.bash says. Not `Context.gitInformation`:
/// SwiftPM keeps what a manifest has said until its text or the environment changes, so that may be of an earlier commit.
let commit = Context.environment["KMESH_COMMIT"] ?? ""

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let http = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let yaml = Target.Dependency.product(name: "Yams", package: "Yams")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")

let package = Package(
    name: "kmesh-bypassd",
    products: [
        .executable(name: "kmesh-bypassd", targets: ["kmesh-bypassd"]),
        .executable(name: "kmesh-bypassctl", targets: ["kmesh-bypassctl"]),
        .executable(name: "kmesh-bypass-demo", targets: ["kmesh-bypass-demo"]),
        .executable(name: "kmesh-bypass-controller", targets: ["kmesh-bypass-controller"]),
        .executable(name: "kubectl-bypass", targets: ["kubectl-bypass"]),
        .library(name: "BypassClient", targets: ["BypassClient", "BypassAPI", "JSONRPC", "StrictJSON", "Retry"]),
    ],
    // Exact, as Package.resolved is not kept; systemd/notice.py writes NOTICE and systemd/SBOM.spdx.json from them.
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", exact: "2.13.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", exact: "1.0.2", traits: []),
    ],
    targets: [
        // C: shims and what the libraries declare.
        .target(name: "CLinux", cSettings: [.define("FAULT_POINTS", .when(configuration: .debug))]),
        .target(
            name: "CBuildVersion",
            cSettings: [
                // The commit's first eight digits, as a number; 0 if it is not known.
                .define("COMMIT", to: "\(UInt32(commit.prefix(8), radix: 16) ?? 0)u"),
                .define("MODIFIED", to: commit.hasSuffix("-modified") ? "true" : "false"),
                .define("RELEASE", to: Context.environment["KMESH_RELEASE"] == "1" ? "true" : "false"),
            ]),
        .target(name: "CBypassABI", path: "bpf/include", sources: [], publicHeadersPath: "."),
        .systemLibrary(name: "CLibmnl", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
        .systemLibrary(name: "CLibnftnl", pkgConfig: "libnftnl", providers: [.apt(["libnftnl-dev"])]),
        .systemLibrary(name: "CLibbpf", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),
        .plugin(name: "CompileMatcher", capability: .buildTool(), path: "bpf/plugin"),

        // The kernel side.
        .target(name: "Linux", dependencies: ["CLinux", system], swiftSettings: strict + [faultPoints]),
        .target(
            name: "Netfilter", dependencies: ["Linux", "CLibmnl", "CLibnftnl", system],
            swiftSettings: strict + [faultPoints]),

        // Pure: the wire and the decisions.
        .target(name: "Retry", swiftSettings: strict),
        .target(name: "StrictJSON", swiftSettings: strict),
        .target(name: "JSONRPC", dependencies: ["StrictJSON"], swiftSettings: strict),
        .target(name: "BypassAPI", dependencies: ["StrictJSON", "JSONRPC", "CBuildVersion"], swiftSettings: strict),
        .target(name: "Bypass", dependencies: ["BypassAPI"], swiftSettings: strict),
        .target(name: "BypassPolicy", dependencies: ["Bypass", "BypassAPI", "Linux"], swiftSettings: strict),

        .target(
            name: "Datapath",
            dependencies: ["Bypass", "BypassAPI", "Netfilter", "Linux", "CBypassABI", "CLibbpf", system],
            swiftSettings: strict, plugins: ["CompileMatcher"]),

        .target(name: "PrometheusMetrics", dependencies: [metrics], swiftSettings: strict),

        // The two ends of the socket.
        .target(
            name: "BypassDaemon",
            dependencies: [
                "Linux", "Netfilter", "Datapath", "StrictJSON", "JSONRPC", "BypassAPI", "Bypass", "BypassPolicy",
                "Retry", "PrometheusMetrics", logging, metrics,
            ], swiftSettings: strict),
        .target(
            name: "BypassClient", dependencies: ["BypassAPI", "StrictJSON", "JSONRPC", "Retry", nioCore, nioPosix],
            swiftSettings: strict),

        // The controller, a client of the socket: nothing of it is in the daemon.
        .target(
            name: "Kubernetes",
            dependencies: [
                "StrictJSON", "Linux", "Retry", nioCore, nioPosix, nioHTTP, nioTLS, http, yaml, subprocess, system,
            ],
            swiftSettings: strict
        ),
        .target(name: "PodBypass", dependencies: ["BypassAPI"], swiftSettings: strict),
        .target(
            name: "BypassController",
            dependencies: [
                "PodBypass", "BypassClient", "BypassAPI", "StrictJSON", "Kubernetes", "Linux", "Retry",
                "PrometheusMetrics", nioCore,
                nioPosix,
                nioHTTP, http, logging, metrics, lifecycle,
            ], swiftSettings: strict),
        .executableTarget(
            name: "kmesh-bypass-controller",
            dependencies: [
                "BypassController", "BypassAPI", "Kubernetes", "Commands", "Console", "Linux", logging, lifecycle,
                signals, arguments,
            ],
            swiftSettings: strict),

        // What the command line tools share.
        .target(name: "Console", dependencies: ["Bypass", "BypassAPI", "Linux"], swiftSettings: strict),
        .target(name: "Commands", dependencies: ["Console", arguments], swiftSettings: strict),
        .executableTarget(
            name: "kubectl-bypass",
            dependencies: [
                "PodBypass", "Bypass", "BypassAPI", "Kubernetes", "Console", "Commands", "StrictJSON", "Linux",
                arguments,
            ],
            swiftSettings: strict),
        .target(name: "SignalHandling", dependencies: [signals], swiftSettings: strict),

        .target(
            name: "BypassRepair", dependencies: ["Bypass", "BypassAPI", "Datapath", "Linux"],
            swiftSettings: strict),
        .executableTarget(
            name: "kmesh-bypassd",
            dependencies: [
                "BypassDaemon", "BypassRepair", "BypassAPI", "Console", "StrictJSON", "Linux", logging,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "kmesh-bypassctl",
            dependencies: [
                "BypassClient", "Bypass", "BypassAPI", "Console", "Commands", "SignalHandling", "BypassPolicy", "Linux",
                "StrictJSON", "JSONRPC",
                subprocess, system, arguments,
            ],
            swiftSettings: strict),

        // Namespaces, a mesh's rules and servers: for the demo, the benchmarks and the tests.
        .target(
            name: "MeshSandbox", dependencies: ["Linux", "CLinux", subprocess, system], swiftSettings: strict),
        .executableTarget(
            name: "kmesh-bypass-demo",
            dependencies: [
                "MeshSandbox", "BypassClient", "BypassAPI", "Console", "Commands", "SignalHandling", arguments,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "bypass-benchmark", dependencies: ["MeshSandbox", "Linux", arguments], path: "Tests/Benchmarks",
            swiftSettings: strict),

        // Tests that need no root.
        .testTarget(name: "LayeringTests", dependencies: ["Linux", "StrictJSON"], swiftSettings: strict),
        .testTarget(name: "LinuxTests", dependencies: ["Linux"], swiftSettings: strict),
        .testTarget(name: "NetfilterTests", dependencies: ["Netfilter", "Linux", system], swiftSettings: strict),
        .testTarget(name: "RetryTests", dependencies: ["Retry"], swiftSettings: strict),
        .testTarget(name: "StrictJSONTests", dependencies: ["StrictJSON"], swiftSettings: strict),
        .testTarget(name: "JSONRPCTests", dependencies: ["StrictJSON", "JSONRPC"], swiftSettings: strict),
        .testTarget(
            name: "BypassAPITests", dependencies: ["BypassAPI", "StrictJSON", "JSONRPC", "Linux"], swiftSettings: strict
        ),
        .testTarget(
            name: "PrometheusMetricsTests", dependencies: ["PrometheusMetrics", metrics], swiftSettings: strict),
        .testTarget(name: "BypassTests", dependencies: ["Bypass", "BypassAPI"], swiftSettings: strict),
        .testTarget(
            name: "DatapathTests", dependencies: ["Datapath", "Bypass", "BypassAPI", "Netfilter", "CBypassABI"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "BypassPolicyTests", dependencies: ["BypassPolicy", "Bypass", "BypassAPI"], swiftSettings: strict),
        .testTarget(
            name: "BypassDaemonTests",
            dependencies: [
                "BypassDaemon", "Bypass", "BypassAPI", "BypassPolicy", "JSONRPC", "StrictJSON", "Linux", logging,
            ], swiftSettings: strict),
        .testTarget(
            name: "BypassClientTests",
            dependencies: ["BypassClient", "BypassAPI", "StrictJSON", "JSONRPC", nioCore, nioPosix],
            swiftSettings: strict),
        .testTarget(
            name: "kmesh-bypassctlTests",
            dependencies: [
                "kmesh-bypassctl", "kmesh-bypassd", "BypassClient", "Bypass", "BypassAPI", "Console", "BypassPolicy",
                "Linux", "StrictJSON", "JSONRPC", "MeshSandbox", arguments, yaml,
            ],
            swiftSettings: strict),

        // Tests of the controller have an API server of their own.
        .target(
            name: "ControllerTestSupport", dependencies: ["StrictJSON", nioCore, nioPosix, nioHTTP, nioTLS],
            path: "Tests/ControllerTestSupport", exclude: ["Admission"], swiftSettings: strict),
        .testTarget(
            name: "KubernetesTests",
            dependencies: ["Kubernetes", "ControllerTestSupport", "StrictJSON", "Linux", "MeshSandbox", nioTLS],
            swiftSettings: strict),
        .testTarget(
            name: "BypassControllerTests",
            dependencies: [
                "BypassController", "PodBypass", "BypassAPI", "ControllerTestSupport", "StrictJSON", "Kubernetes",
                logging, nioCore,
                nioPosix,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "kubectl-bypassTests",
            dependencies: [
                "kubectl-bypass", "PodBypass", "BypassAPI", "Kubernetes", "ControllerTestSupport", "MeshSandbox",
                "Linux",
                "StrictJSON",
            ],
            swiftSettings: strict),

        // Tests that need root share their rig.
        .target(
            name: "TestSupport",
            dependencies: [
                "MeshSandbox", "BypassClient", "BypassAPI", "StrictJSON", "JSONRPC", "Linux", nioCore, nioPosix,
            ],
            path: "Tests/Support", swiftSettings: strict + [faultPoints]),
        .testTarget(
            name: "KernelTests",
            dependencies: [
                "kmesh-bypassd", "Datapath", "TestSupport", "MeshSandbox", "Linux", "StrictJSON", "JSONRPC", system,
            ], swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "kmesh-bypassd", "kmesh-bypassctl", "kmesh-bypass-demo", "BypassClient", "BypassAPI", "TestSupport",
                "MeshSandbox", "Linux", "StrictJSON", "JSONRPC", nioCore, nioPosix, system,
            ], swiftSettings: strict),
        .testTarget(
            name: "ControllerTests",
            dependencies: [
                "kmesh-bypassd", "kmesh-bypassctl", "kmesh-bypass-controller", "kubectl-bypass",
                "ControllerTestSupport", "TestSupport",
                "MeshSandbox", "Linux", "StrictJSON",
            ], exclude: ["kmock_server.py", "kmock_requirements.txt"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)

// What those depend on, at exact versions too: a build takes none that was not tested (`PinTests`). SwiftPM warns of packages
// that no target names. So one target names a product of each, for a system that nothing is built for: that adds nothing.
let indirect = [
    ("apple/swift-algorithms", "1.2.1", "Algorithms"),
    ("apple/swift-asn1", "1.7.4", "SwiftASN1"),
    ("apple/swift-async-algorithms", "1.1.4", "AsyncAlgorithms"),
    ("apple/swift-atomics", "1.3.0", "Atomics"),
    ("apple/swift-certificates", "1.21.1", "X509"),
    ("apple/swift-collections", "1.6.0", "Collections"),
    ("apple/swift-configuration", "1.4.0", "Configuration"),
    ("apple/swift-crypto", "4.5.2", "Crypto"),
    ("apple/swift-distributed-tracing", "1.7.3", "Tracing"),
    ("apple/swift-http-structured-headers", "1.7.0", "StructuredFieldValues"),
    ("apple/swift-http-types", "1.8.0", "HTTPTypes"),
    ("apple/swift-nio-extras", "1.35.2", "NIOExtras"),
    ("apple/swift-nio-http2", "1.46.0", "NIOHTTP2"),
    ("apple/swift-nio-transport-services", "1.28.0", "NIOTransportServices"),
    ("apple/swift-numerics", "1.1.1", "RealModule"),
    ("apple/swift-service-context", "1.5.1", "ServiceContextModule"),
]
let kubernetes = package.targets.first { $0.name == "Kubernetes" }
for (name, version, product) in indirect {
    package.dependencies.append(.package(url: "https://github.com/" + name, exact: Version(version)!))
    let package = String(name.split(separator: "/")[1])
    kubernetes?.dependencies.append(
        .product(name: product, package: package, condition: .when(platforms: [.wasi])))
}

// A fuzzer's main function is libFuzzer's: an ordinary build has none of them, and tests that read their corpora instead.
let fuzzed: [Target.Dependency] = [
    "Bypass", "BypassAPI", "BypassDaemon", "BypassPolicy", "Datapath", "StrictJSON", "JSONRPC", "Linux", "Netfilter",
]
let fuzzers = ["RequestLine", "NetlinkReplies", "LegacyEntries", "PolicyText", "RecordLines"]
if Context.environment["KMESH_FUZZ"] == nil {
    package.targets.append(
        .testTarget(
            name: "FuzzingTests", dependencies: fuzzed, path: "Tests/Fuzzing",
            exclude: fuzzers, sources: ["Bodies", "Replay"], swiftSettings: strict))
} else {
    package.targets.append(
        .target(name: "FuzzBodies", dependencies: fuzzed, path: "Tests/Fuzzing/Bodies", swiftSettings: strict))
    for name in fuzzers {
        package.targets.append(
            .executableTarget(
                name: "Fuzz" + name, dependencies: ["FuzzBodies"], path: "Tests/Fuzzing/" + name, exclude: ["corpus"],
                swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]))
    }
}

// Under the address sanitizer (Tests/run.sh --asan) is what touches the kernel. Without the controller, and the TLS library
// that it brings, that builds in half the time.
let isForNode = Context.environment["KMESH_NODE"] != nil
if isForNode || Context.environment["KMESH_ASAN"] != nil {
    let controller = [
        "Kubernetes", "PodBypass", "BypassController", "kmesh-bypass-controller", "kubectl-bypass",
        "ControllerTestSupport", "KubernetesTests", "BypassControllerTests", "ControllerTests", "kubectl-bypassTests",
    ]
    package.targets.removeAll { controller.contains($0.name) }
    package.products.removeAll { controller.contains($0.name) }
}

// What systemd/install.sh builds for a node, all of it: one build takes less time than one for each product. It also fetches
// only the packages that are in it.
if isForNode {
    package.targets.removeAll { $0.path?.hasPrefix("Tests/") == true || $0.type == .test }
    let used: Set = [
        "swift-nio", "swift-system", "swift-log", "swift-metrics", "swift-argument-parser", "swift-service-lifecycle",
        "swift-subprocess", "swift-async-algorithms", "swift-atomics", "swift-collections",
    ]
    package.dependencies.removeAll { dependency in
        guard case .sourceControl(_, let location, _) = dependency.kind else { return false }
        return !used.contains(String(location.split(separator: "/").last ?? ""))
    }
    let client = package.targets.first { $0.name == "BypassClient" }
    client?.dependencies += (kubernetes?.dependencies ?? []).filter {
        if case .productItem(_, let package?, _, .some) = $0 { used.contains(package) } else { false }
    }
}

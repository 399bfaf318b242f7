import ControllerTestSupport
import Linux
import MeshSandbox
import StrictJSON
import TestSupport

/// Many pods, each a namespace with a redirect, an address, and a process in a cgroup like the kubelet's.
struct Fleet {
    let names: [String]
    let uids: [String]
    /// The folder of their cgroups.
    private let root: String

    private static func uid(_ number: Int) -> String {
        let digits = String(number)
        return "f1ee7000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.utf8.count) + digits
    }

    /// Creates them while `body` runs, also in the API server, without a label.
    ///
    /// - Parameter filler: bytes of further annotations, as real pods have them.
    static func with(
        _ count: Int, _ it: ControllerRig, filler: Int = 0, _ body: (Fleet) async throws -> Void
    ) async throws {
        let root = try await PodGroup.mount(.two, it.sandbox) + "/" + it.sandbox.peer + "-fleet"
        let fleet = Fleet(names: (0..<count).map { "p\($0)" }, uids: (0..<count).map(uid), root: root)
        try await scoped {
            try await it.sandbox.run(["sh", "-e"], in: .host, input: fleet.script)
            let annotations: JSONValue = ["filler": .string(String(repeating: "x", count: filler))]
            for number in fleet.names.indices { fleet.put(number, it, annotations: annotations) }
            try await body(fleet)
        } cleanUp: {
            let end = """
                find \(root) -name cgroup.procs -exec cat {} + | xargs -r kill -9
                for i in 1 2 3 4 5 6 7 8 9; do
                    find \(root) -depth -type d -exec rmdir {} + 2>/dev/null && exit 0
                    sleep 0.2
                done
                """
            try await it.sandbox.run(["sh", "-c", end], in: .host)
        }
    }

    private static func address(_ number: Int) -> String { "10.8.\(number / 200).\(number % 200 + 1)" }

    /// Creates the pod in the API server, without a label.
    func put(_ number: Int, _ it: ControllerRig, annotations: JSONValue = [:]) {
        it.server.put(
            names[number], uid: uids[number], annotations: annotations, addresses: [Self.address(number)])
    }

    /// Ends a pod's processes, and starts others in another namespace with the same address, as the kubelet does when the
    /// sandbox of a pod is gone: the pod keeps its UID.
    func recreateSandbox(_ number: Int, _ it: ControllerRig) async throws {
        let end = "xargs -r kill -9 < \(group(number))/c/cgroup.procs"
        try await it.sandbox.run(["sh", "-e"], in: .host, input: [end, start(number)].joined(separator: "\n") + "\n")
    }

    /// One shell for all: five hundred would take longer than the test.
    private var script: String {
        (["mkdir -p \(root)/kubepods/besteffort"] + names.indices.map(start)).joined(separator: "\n") + "\n"
    }

    private func group(_ number: Int) -> String { "\(root)/kubepods/besteffort/pod\(uids[number])" }

    private func start(_ number: Int) -> String {
        let rules =
            "*nat\n-A OUTPUT -p tcp -j REDIRECT --to-ports 15001\n-A PREROUTING -p tcp -j REDIRECT --to-ports 15006\nCOMMIT"
        let inside = """
            ip address add \(Self.address(number))/32 dev lo; echo "$1" | iptables-nft-restore --noflush; \
            echo $$ > $2/c/cgroup.procs; sleep 600 >/dev/null 2>&1 &
            """
        return """
            mkdir -p \(group(number))/c
            unshare --net sh -e -c '\(inside)' - '\(rules)' \(group(number))
            """
    }
}

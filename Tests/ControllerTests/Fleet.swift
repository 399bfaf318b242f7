import ControllerTestSupport
import Linux
import MeshSandbox
import StrictJSON
import TestSupport

/// Many pods, each a namespace with a redirect, an address, and a process in a cgroup like the kubelet's.
struct Fleet {
    let names: [String]
    let uids: [String]

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
        let fleet = Fleet(names: (0..<count).map { "p\($0)" }, uids: (0..<count).map(uid))
        let root = try await PodGroup.mount(.two, it.sandbox) + "/" + it.sandbox.peer + "-fleet"
        try await scoped {
            try await it.sandbox.run(["sh", "-e"], in: .host, input: fleet.script(root))
            for (number, name) in fleet.names.enumerated() {
                let annotations: JSONValue = ["filler": .string(String(repeating: "x", count: filler))]
                it.server.put(
                    name, uid: fleet.uids[number], annotations: annotations, addresses: [Self.address(number)])
            }
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

    /// One shell for all: five hundred would take longer than the test.
    private func script(_ root: String) -> String {
        let rules =
            "*nat\n-A OUTPUT -p tcp -j REDIRECT --to-ports 15001\n-A PREROUTING -p tcp -j REDIRECT --to-ports 15006\nCOMMIT"
        var lines = ["mkdir -p \(root)/kubepods/besteffort", "rules='\(rules)'"]
        for (number, uid) in uids.enumerated() {
            lines.append("g=\(root)/kubepods/besteffort/pod\(uid); mkdir -p $g/c")
            let inside = """
                ip address add \(Self.address(number))/32 dev lo; echo "$1" | iptables-nft-restore --noflush; \
                echo $$ > $2/c/cgroup.procs; sleep 600 >/dev/null 2>&1 &
                """
            lines.append("unshare --net sh -e -c '\(inside)' - \"$rules\" $g")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

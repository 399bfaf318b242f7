import MeshSandbox

/// Many namespaces with a sidecar's rules, one after the other over one connection.
enum Fleet {
    static func measure(_ daemon: DaemonProcess, count: Int) async throws {
        let names = (0..<count).map { "bypass-bench-\($0)" }
        try await MeshSandbox.with { sandbox in
            try await sandbox.install(.iptables)
            let rules = try await ["iptables-save", "ip6tables-save"].asyncMap { try await sandbox.run([$0], in: .pod) }
            try await sandbox.run(
                ["ip", "-batch", "-"], in: .host, input: names.map { "netns add \($0)\n" }.joined())
            do {
                for name in names {
                    for (restore, text) in zip(["iptables-restore", "ip6tables-restore"], rules) {
                        try await sandbox.run(
                            ["nsenter", "--net=/run/netns/\(name)", restore], in: .host, input: text)
                    }
                }
                try await Thread.run { try measure(daemon, names) }
            } catch {
                try? await remove(names, sandbox)
                throw error
            }
            try await remove(names, sandbox)
        }
    }

    private static func remove(_ names: [String], _ sandbox: MeshSandbox) async throws {
        try await sandbox.run(
            ["ip", "-force", "-batch", "-"], in: .host, input: names.map { "netns delete \($0)\n" }.joined())
    }

    private static func measure(_ daemon: DaemonProcess, _ names: [String]) throws {
        let client = try LineClient(daemon.socket)
        func turn(_ state: String) throws -> Int {
            let start = ContinuousClock.now
            for name in names { try Call.check(try client.call(Call.bypass(name, state))) }
            return Int(Double(names.count) / ((ContinuousClock.now - start) / .seconds(1)))
        }
        print("\(names.count) namespaces, one connection, one call after the other:")
        let first = try turn("on")
        let usage = try daemon.usage()
        var list = Figures()
        for _ in 0..<21 { try Call.check(list.time { try client.call(Call.list) }) }
        print("on, namespaces not seen before: \(first) calls/s; off: \(try turn("off")) calls/s")
        var rates: [Int] = []
        for _ in 0..<5 {
            Thread.pause(milliseconds: 100)
            rates.append(try turn("on"))
            Thread.pause(milliseconds: 100)
            _ = try turn("off")
        }
        print("on, again: median \(rates.sorted()[2]) calls/s (of \(rates.sorted()))")
        print(list.row("list of \(names.count)"))
        print("resident with \(names.count) bypassed: \(usage.residentMemory / 1024) KiB\n")
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ body: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await body(element)) }
        return results
    }
}

import ControllerTestSupport
import Kubernetes
import Testing

extension APIServer {
    func client(
        token: String? = nil, timeout: Duration = .seconds(5)
    ) throws -> APIClient {
        var access = ClusterAccess(server: url)
        access.token = token.map { .text($0) }
        return try APIClient(access, agent: "test", timeout: timeout)
    }

    /// Watches the labelled pods of node-a for the time of `body`.
    func watching<Result>(
        pageSize: Int = 100, token: String? = nil, _ body: (Elements) async throws -> Result
    ) async throws -> Result {
        let client = try client(token: token)
        let selectors = [("labelSelector", "kmesh.net/bypass=enabled"), ("fieldSelector", "spec.nodeName=node-a")]
        let watch = ResourceWatch<Pod>(client, "/api/v1/pods", selectors: selectors, pageSize: pageSize)
        let elements = Elements()
        let task = Task {
            for await element in watch { await elements.add(element) }
        }
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(elements))
        } catch {
            result = .failure(error)
        }
        task.cancel()
        await task.value
        await client.shutdown()
        return try result.get()
    }
}

/// What came out of a watch, as text: `snapshot a b`, `changed a`, `deleted a`, `disconnected 500`, `resumed`.
actor Elements {
    private var waiting: [String] = []

    func add(_ element: ResourceWatch<Pod>.Element) { waiting.append(Self.text(element)) }

    /// What is waited for here comes within milliseconds; `nothing` if it does not come in ten seconds.
    func next() async -> String {
        for _ in 0..<2000 {
            if !waiting.isEmpty { return waiting.removeFirst() }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return "nothing"
    }

    /// Applies what comes to a set, until that is another one.
    ///
    /// - Returns: the changes and snapshots that came.
    func follow(from start: Set<String>, to end: Set<String>) async -> [String] {
        var set = start
        var seen: [String] = []
        while set != end, seen.last != "nothing" {
            let element = await nextChange()
            if element != "resumed" { seen.append(element) }
            let words = element.split(separator: " ").map(String.init)
            switch words[0] {
            case "snapshot": set = Set(words.dropFirst())
            case "changed": set.insert(words[1])
            case "deleted": set.remove(words[1])
            default: break
            }
        }
        return seen
    }

    private static func text(_ element: ResourceWatch<Pod>.Element) -> String {
        switch element {
        case .snapshot(let pods): (["snapshot"] + pods.map(\.metadata.name).sorted()).joined(separator: " ")
        case .changed(let pod): "changed \(pod.metadata.name)"
        case .deleted(let pod): "deleted \(pod.metadata.name)"
        case .disconnected(let error): "disconnected \(error.code.map(String.init) ?? "")"
        case .resumed: "resumed"
        case .unreadable: "unreadable"
        }
    }

    func expect(_ element: String, sourceLocation: SourceLocation = #_sourceLocation) async {
        let next = await next()
        #expect(next == element, sourceLocation: sourceLocation)
    }

    /// Passes over connections that came to nothing: how many there are is a matter of time.
    func nextChange() async -> String {
        while true {
            let element = await next()
            if !element.hasPrefix("disconnected") { return element }
        }
    }
}

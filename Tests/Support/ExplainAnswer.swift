package import MeshSandbox
package import StrictJSON

/// The object that `explain` gives, read by the names of the contract and by nothing of the daemon's code.
package struct ExplainAnswer: Sendable, CustomStringConvertible {
    package struct Step: Sendable {
        package let hook: String
        package let table: String
        package let chain: String
        package let rule: String?
        package let verdict: String
    }

    package struct Probe: Sendable {
        package let direction: String
        package let family: String
        package let `protocol`: String
        package let to: String
        package let source: String
        package let steps: [Step]
        /// Those that decide.
        package let deciding: [Step]
        /// Such as `sidecar 15001`, or `dropped`.
        package let end: String
        /// What listens there, such as `envoy[4711]`.
        package let process: String?
        package let isListening: Bool?
    }

    package let probes: [Probe]
    package let codes: [String]
    package let description: String

    /// - Throws: `ContractViolation` if a member is missing or of another type.
    package init(_ value: JSONValue) throws {
        description = "\(value)"
        let object = try Members(value)
        _ = (try object.string("netns"), try object.integer("inode"))
        codes = try object.array("warnings").map { try Members($0).string("code") }
        probes = try object.array("probes").map { value in
            let probe = try Members(value)
            let steps = try probe.array("steps").map(Self.step)
            let ends = try Members(try probe.value("ends"))
            let port = try ends.value("port") == .null ? "" : " \(try ends.integer("port"))"
            return Probe(
                direction: try probe.string("direction"), family: try probe.string("family"),
                protocol: try probe.string("protocol"), to: try probe.string("to"), source: try probe.string("source"),
                steps: steps.map(\.step), deciding: steps.filter(\.decides).map(\.step),
                end: try ends.string("at") + port, process: try ends.optionalString("process"),
                isListening: try ends.value("listening") == .null ? nil : try ends.bool("listening"))
        }
    }

    private static func step(_ value: JSONValue) throws -> (step: Step, decides: Bool) {
        let step = try Members(value)
        _ = (try step.integer("priority"), try step.string("family"))
        return (
            Step(
                hook: try step.string("hook"), table: try step.string("table"), chain: try step.string("chain"),
                rule: try step.optionalString("rule"), verdict: try step.string("verdict")), try step.bool("decides")
        )
    }
}

extension Rig {
    /// The ways of first packets in the pod.
    package func explain(
        to: String? = nil, from: String? = nil, protocol: String? = nil, uid: Int? = nil
    ) async throws -> ExplainAnswer {
        var members: [(String, JSONValue)] = [("netns", .string(sandbox.pod))]
        if let to { members.append(("to", .string(to))) }
        if let from { members.append(("from", .string(from))) }
        if let `protocol` { members.append(("protocol", .string(`protocol`))) }
        if let uid { members.append(("uid", .number(JSONNumber(uid)))) }
        return try ExplainAnswer(try await call("explain", .object(JSONObject(uniqueMembers: members))))
    }

    /// The same of the connection that the sandbox's probe opens.
    package func explain(
        _ direction: MeshSandbox.Direction, _ family: MeshSandbox.Family
    ) async throws -> ExplainAnswer.Probe {
        let address = family.address(of: direction == .inbound ? .pod : .peer)
        let place = family == .ipv4 ? "\(address):8080" : "[\(address)]:8080"
        let answer = try await explain(to: place, from: direction == .inbound ? family.address(of: .peer) : nil)
        guard answer.probes.count == 1, answer.codes == [] else {
            throw ContractViolation(description: "not one probe: \(answer)")
        }
        return answer.probes[0]
    }
}

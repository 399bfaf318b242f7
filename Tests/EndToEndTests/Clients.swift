import JSONRPC
import MeshSandbox
import NIOCore
import StrictJSON
import TestSupport

extension Rig {
    /// Gives `input` to socat and returns the lines that come back until the daemon closes. socat shuts its writing side
    /// down at the end of its input, as it does for every user who pipes into it.
    func socat(_ input: String) async throws -> [JSONValue] {
        let ending = try await sandbox.result(of: ["socat", "-t", "10", "-", "UNIX-CONNECT:\(socket)"], input: input)
        guard ending.code == 0 else { throw UnmetExpectation(description: "socat: \(ending)") }
        return try lines(ending.output)
    }

    /// Runs a Python program, which is given the socket's path and the pod's name, and returns the lines that it prints.
    func python(_ program: String, _ arguments: [String] = []) async throws -> [String] {
        let ending = try await sandbox.result(of: ["python3", "-", socket, sandbox.pod] + arguments, input: program)
        guard ending.code == 0 else { throw UnmetExpectation(description: "python3: \(ending)") }
        return ending.output.split(separator: "\n").map(String.init)
    }

    /// Every line has to be JSON and to have an end.
    func lines(_ output: String) throws -> [JSONValue] {
        guard output.isEmpty || output.hasSuffix("\n") else {
            throw ContractViolation(description: "a line without an end: \(output)")
        }
        return try output.split(separator: "\n").map { try JSONReader.read(String($0)) }
    }

    /// A request as a user would type it.
    func line(_ id: String?, _ method: String, _ params: String = "{}") -> String {
        #"{"jsonrpc":"2.0",\#(id.map { #""id":\#($0),"# } ?? "")"method":"\#(method)","params":\#(params)}"#
    }

    /// `bypass` of the pod.
    func bypassLine(_ id: String?, _ state: String) -> String {
        line(id, "bypass", #"["\#(sandbox.pod)","\#(state)"]"#)
    }

    /// `status` of the pod.
    func statusLine(_ id: String?) -> String {
        line(id, "status", #"["\#(sandbox.pod)"]"#)
    }
}

extension JSONValue {
    var id: JSONValue? { object?["id"] }

    /// `result.state`.
    var state: String? { object?["result"]?.object?["state"]?.string }

    /// nil in an answer that is not an error.
    var refusal: Refusal? {
        get throws {
            guard case .failure(let error) = try Response(self).outcome else { return nil }
            return Refusal(error)
        }
    }
}

internal import BypassAPI
internal import JSONRPC
internal import Linux
internal import StrictJSON

/// A request's parameters, bound to its method as the router binds them.
enum Binding {
    enum Outcome {
        case bound(JSONValue)
        case refused(ErrorObject)

        func write(to writer: inout ResponseWriter, id: RequestID) {
            switch self {
            case .bound(let parameters): writer.write(result: parameters, id: id)
            case .refused(let error): writer.write(error: error, id: id)
            }
        }
    }

    /// Every method gets to see the parameters: most inputs are not lucky enough to name one.
    static func outcome(of request: Request) throws(BrokenPromise) -> Outcome {
        var outcome = Outcome.refused(
            ErrorObject.methodNotFound.detailed("no method \(String(reflecting: request.method))"))
        for method in OpenRPCDocument.methods {
            let bound = try bind(request, to: method)
            if method.name == request.method { outcome = bound }
        }
        return outcome
    }

    private static func bind<Method: RPCMethod>(
        _ request: Request, to method: Method.Type
    ) throws(BrokenPromise) -> Outcome {
        let parameters: Method.Parameters
        do {
            parameters = try request.parameters(of: method)
        } catch {
            try promise(error.code == ErrorObject.invalidParams.code, "parameters are refused with \(error)")
            return .refused(error)
        }
        let json = try checkRoundTrip(parameters)
        if let parameters = parameters as? BypassMethod.Parameters { try checkReference(parameters.netns) }
        if let parameters = parameters as? StatusMethod.Parameters { try checkReference(parameters.netns) }
        return .bound(json)
    }

    /// What is understood can be said again, and is understood the same way.
    private static func checkRoundTrip<Parameters: Codable>(_ parameters: Parameters) throws(BrokenPromise) -> JSONValue
    {
        do {
            let first = try JSONEncoding.bytes(of: parameters)
            let value = try JSONReader.read(first)
            let again: Parameters = try JSONDecoding.decode(from: value)
            let second = try JSONEncoding.bytes(of: again)
            try promise(first == second, "\(first) became \(second)")
            return value
        } catch {
            throw BrokenPromise(description: "\(parameters): \(error)")
        }
    }

    /// A bare name leads to no other folder, and nothing goes to the kernel that it would cut off.
    private static func checkReference(_ text: String) throws(BrokenPromise) {
        switch NamespaceReference(text) {
        case .name(let name):
            try promise(
                !name.utf8.contains(0x2f) && !name.utf8.contains(0) && name != ".." && !name.isEmpty,
                "\(name.debugDescription) is no name of a file")
        case .path(let path):
            try promise(path.utf8.first == 0x2f && !path.utf8.contains(0), "\(path.debugDescription) is no path")
        case .pid(let pid): try promise(pid > 0, "\(pid) is no process")
        case .workload(.pod(let uid)):
            try promise(!uid.isEmpty && uid.utf8.allSatisfy { $0 != 0x2f && $0 > 0x20 }, "\(uid) is no pod")
        case .workload(.container(let id)):
            try promise((12...64).contains(id.utf8.count) && id.allSatisfy(\.isHexDigit), "\(id) is no container")
        case .host: try promise(text == "host", "\(text) is not the host")
        case nil: break
        }
    }
}

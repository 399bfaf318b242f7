public import BypassAPI
internal import JSONRPC
internal import NIOCore

extension BypassClient {
    /// Turns the bypass of one network namespace on or off.
    ///
    /// - Parameters:
    ///   - netns: `web`, `/run/netns/web`, `/proc/4711/ns/net`, `pid:4711` or `pod:UID`.
    ///   - direction: With `on` only; both directions if left out.
    ///   - ttl: With `on` only: seconds until the bypass ends by itself.
    ///   - owner: Who wants it, such as `kubernetes:default/web-0`.
    ///   - reason: For the audit log.
    ///   - ifGeneration: Do nothing, but for a `conflict`, unless the namespace is at this generation.
    ///   - ifOwner: Do nothing, but for a `conflict`, if there is a bypass of another owner.
    ///   - expectAddresses: Do nothing, but for a `netns-mismatch`, unless the namespace has one of these IP addresses.
    /// - Throws: ``BypassClientError``; after ``BypassClientError/refused(_:)`` nothing has changed.
    public func bypass(
        netns: String, state: BypassState, direction: Direction? = nil, ttl: Int? = nil, owner: String? = nil,
        reason: String? = nil, ifGeneration: Int? = nil, ifOwner: String? = nil, expectAddresses: [String]? = nil
    ) async throws(BypassClientError) -> BypassMethod.Result {
        try await call(
            BypassMethod.self,
            with: .init(
                netns: netns, state: state, direction: direction, ttl: ttl, owner: owner, reason: reason,
                ifGeneration: ifGeneration, ifOwner: ifOwner, expectAddresses: expectAddresses))
    }

    /// Gives a bypass more time: it ends that many seconds from now, unless it was to last longer anyway.
    public func extend(
        netns: String, ttl: Int, ifGeneration: Int? = nil
    ) async throws(BypassClientError) -> BypassMethod.Result {
        try await call(ExtendMethod.self, with: .init(netns: netns, ttl: ttl, ifGeneration: ifGeneration))
    }

    /// Tells the bypass of one network namespace, as the kernel has it now.
    public func status(netns: String) async throws(BypassClientError) -> BypassStatus {
        try await call(StatusMethod.self, with: .init(netns: netns))
    }

    /// Tells every namespace that is bypassed, by inode.
    public func list() async throws(BypassClientError) -> [BypassStatus] {
        try await call(ListMethod.self, with: .init()).bypasses
    }

    /// Ends every bypass, or every one of an owner's. Needs role admin.
    public func clear(owner: String? = nil) async throws(BypassClientError) -> ClearMethod.Result {
        try await call(ClearMethod.self, with: .init(owner: owner))
    }

    /// Tells what the daemon is, and on what it runs.
    public func info() async throws(BypassClientError) -> InfoMethod.Result {
        try await call(InfoMethod.self, with: .init())
    }

    /// Calls a method of the daemon's table. What a newer daemon adds to the result is ignored.
    public func call<Method: RPCMethod>(
        _ method: Method.Type, with parameters: Method.Parameters
    ) async throws(BypassClientError) -> Method.Result {
        try await answer(method, with: parameters).result
    }

    /// A result, and how the daemon wrote it.
    public struct Answer<Result: Sendable>: Sendable {
        public let result: Result
        /// One line of JSON, with all that a newer daemon adds.
        public let json: String
    }

    /// Calls a method of the daemon's table, and keeps the result as the daemon sent it.
    public func answer<Method: RPCMethod>(
        _: Method.Type, with parameters: Method.Parameters
    ) async throws(BypassClientError) -> Answer<Method.Result> {
        let result = try await call(method: Method.name, params: try Params(givenIn: parameters))
        do {
            var line = ByteBuffer()
            try JSONEncoding.write(result, into: &line)
            return Answer(
                result: try JSONDecoding.decode(from: result, unknownMembers: .ignore), json: String(buffer: line))
        } catch {
            throw .invalidAnswer("result: \(error)")
        }
    }
}

extension Params {
    /// The parameters by name, without those that are nil: on the wire such a parameter is left out, not null.
    init?(givenIn parameters: some Encodable) throws(BypassClientError) {
        let value: JSONValue
        do {
            var text = ByteBuffer()
            try JSONEncoding.write(parameters, into: &text)
            value = try JSONReader.read(text)
        } catch {
            throw .invalidRequest("\(error)")
        }
        guard let object = value.object else { throw .invalidRequest("parameters must be an object") }
        let given = object.members.filter { $0.value != .null }
        guard !given.isEmpty else { return nil }
        self = .named(JSONObject(uniqueMembers: given.map { ($0.key, $0.value) }))
    }
}

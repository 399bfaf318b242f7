public import BypassAPI
internal import StrictJSON

extension BypassClient {
    /// Turns the bypass of one network namespace on or off.
    ///
    /// - Parameters:
    ///   - netns: `web`, `/run/netns/web`, `/proc/4711/ns/net`, `pid:4711`, `pod:UID`, `container:ID` or `host`.
    ///   - state: The desired state.
    ///   - direction: With `on` only; both directions if left out.
    ///   - ttl: With `on` only: seconds until the bypass expires.
    ///   - owner: Informational, such as `kubernetes:default/web-0`.
    ///   - reason: For the audit log.
    ///   - ifGeneration: Fail with `conflict` unless the namespace is at this generation.
    ///   - ifOwner: Fail with `conflict` if there is a bypass of another owner.
    ///   - expectAddresses: Fail with `netns-mismatch` unless the namespace has one of these IP addresses.
    ///   - only: With `on` only: the connections that the bypass is for; every connection if left out.
    ///   - except: With `on` only: connections that the bypass is not for.
    ///   - connections: Whether open TCP connections that take the other way than new ones are ended; they are kept if left
    ///     out.
    ///   - foreign: With `off` only: whether rules of other programs that bypass the sidecar are removed.
    ///   - cgroup: With `on`, direction outbound and a ttl only: the control group whose sockets the bypass is for.
    /// - Throws: ``BypassClientError``; after ``BypassClientError/refused(_:)`` nothing has changed.
    public func bypass(
        netns: String, state: BypassState, direction: Direction? = nil, ttl: Int? = nil, owner: String? = nil,
        reason: String? = nil, ifGeneration: Int? = nil, ifOwner: String? = nil, expectAddresses: [String]? = nil,
        only: ConnectionSet? = nil, except: ConnectionSet? = nil, connections: OpenConnections? = nil,
        foreign: Bool? = nil, cgroup: Int? = nil
    ) async throws(BypassClientError) -> BypassMethod.Result {
        try await call(
            BypassMethod.self,
            with: .init(
                netns: netns, state: state, direction: direction, ttl: ttl, owner: owner, reason: reason,
                ifGeneration: ifGeneration, ifOwner: ifOwner, expectAddresses: expectAddresses, only: only,
                except: except, connections: connections, foreign: foreign,
                cgroup: cgroup))
    }

    /// Extends the time to live of a bypass: it expires `ttl` seconds from now, or later if it would have lasted longer.
    public func extend(
        netns: String, ttl: Int, ifGeneration: Int? = nil
    ) async throws(BypassClientError) -> BypassMethod.Result {
        try await call(ExtendMethod.self, with: .init(netns: netns, ttl: ttl, ifGeneration: ifGeneration))
    }

    /// Shows the bypass of one network namespace, as reported by the kernel.
    ///
    /// - Parameters:
    ///   - netns: The network namespace.
    ///   - expectAddresses: Fail with `netns-mismatch` unless the namespace has one of these IP addresses.
    public func status(
        netns: String, expectAddresses: [String]? = nil
    ) async throws(BypassClientError) -> BypassStatus {
        try await call(StatusMethod.self, with: .init(netns: netns, expectAddresses: expectAddresses))
    }

    /// Shows the path of a connection's first packet through one network namespace. Changes nothing.
    ///
    /// - Parameters:
    ///   - to: Address and port, such as `192.0.2.1:80` or `[2001:db8::1]:80`; several examples if left out.
    ///   - from: The address that sends it.
    ///   - protocol: TCP if left out.
    ///   - uid: User and group of the process that connects; 0 if left out.
    public func explain(
        netns: String, to: String? = nil, from: String? = nil, protocol: ExplainMethod.TransportProtocol? = nil,
        uid: Int? = nil
    ) async throws(BypassClientError) -> ExplainMethod.Result {
        try await call(
            ExplainMethod.self, with: .init(netns: netns, to: to, from: from, protocol: `protocol`, uid: uid))
    }

    /// Lists every bypassed namespace, by inode.
    public func list() async throws(BypassClientError) -> [BypassStatus] {
        try await call(ListMethod.self, with: .init()).bypasses
    }

    /// Ends every bypass, or every bypass of one owner. Needs role admin.
    public func clear(owner: String? = nil) async throws(BypassClientError) -> ClearMethod.Result {
        try await call(ClearMethod.self, with: .init(owner: owner))
    }

    /// Shows the version of the daemon, its kernel and its matcher.
    public func info() async throws(BypassClientError) -> InfoMethod.Result {
        try await call(InfoMethod.self, with: .init())
    }

    /// Calls a method of the daemon. Members that a newer daemon adds to the result are ignored.
    public func call<Method: RPCMethod>(
        _ method: Method.Type, with parameters: Method.Parameters
    ) async throws(BypassClientError) -> Method.Result {
        try await answer(method, with: parameters).result
    }

    /// A result, decoded and as the daemon sent it.
    public struct Answer<Result: Sendable>: Sendable {
        public let result: Result
        /// One line of JSON, with the members that a newer daemon adds.
        public let json: String
    }

    /// Calls a method of the daemon, and keeps the result as the daemon sent it.
    public func answer<Method: RPCMethod>(
        _: Method.Type, with parameters: Method.Parameters
    ) async throws(BypassClientError) -> Answer<Method.Result> {
        let result = try await call(method: Method.name, params: try JSONObject(parameters: parameters))
        do {
            return Answer(
                result: try JSONDecoding.decode(from: result, unknownMembers: .ignore),
                json: String(decoding: JSONText.bytes(of: result), as: UTF8.self))
        } catch {
            throw .invalidAnswer("result: \(error)")
        }
    }
}

extension JSONObject {
    /// The parameters by name, without those that are nil: on the wire such a parameter is left out, not null. nil if
    /// none is left.
    init?(parameters: some Encodable) throws(BypassClientError) {
        let value: JSONValue
        do {
            value = try JSONReader.read(try JSONEncoding.bytes(of: parameters))
        } catch {
            throw .invalidRequest("\(error)")
        }
        guard let object = value.object else { throw .invalidRequest("parameters must be an object") }
        let given = object.members.filter { $0.value != .null }
        guard !given.isEmpty else { return nil }
        self.init(uniqueMembers: given.map { ($0.key, $0.value) })
    }
}

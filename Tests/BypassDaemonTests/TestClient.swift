import JSONRPC
import Linux
import NIOCore
import NIOEmbedded
import StrictJSON
import Synchronization

@testable import BypassAPI
@testable import BypassDaemon

/// A client's end of a connection, with time that stands still.
struct TestClient {
    let loop: EmbeddedEventLoop
    let channel: EmbeddedChannel
    let socket = SocketModel()
    let slow = SlowMethod.Calls()

    /// - Parameters:
    ///   - house: what it shares with other clients, if it does.
    init(limits: Limits = Limits(), user: UInt32 = 0, house: TestHouse? = nil) throws {
        let house = house ?? TestHouse(limits)
        let loop = house.loop
        self.loop = loop
        var router = Router(counted: DaemonMetrics()) { _, _, _ in nil }
        let slow = self.slow
        router.now(EchoMethod.self) { parameters, _ in parameters }
        router.now(LongMethod.self) { parameters, _ in .init(text: String(repeating: parameters.text, count: 20_000)) }
        router.now(BusyMethod.self) { parameters, _ in
            loop.advanceTime(by: BusyMethod.time)
            return parameters
        }
        router.later(SlowMethod.self) { slow.begin($0, on: $1.loop) }
        router.now(StartMethod.self) { parameters, call in
            call.subscription.begin(house.events, after: house.events.snapshot.sequence, on: call.loop)
            return parameters
        }
        router.later(RefusedMethod.self) { $1.loop.makeFailedFuture($0.error) }
        channel = EmbeddedChannel(loop: loop)
        let (seat, refusal) = house.connections.admit(user: user, on: loop)
        let finish = house.connections.open(seat, channel) ?? refusal
        let handler = ConnectionHandler(
            router: router, limits: house.limits, peer: Peer(PeerCredentials(pid: 1, uid: user, gid: user)),
            seat: seat, connections: house.connections, finish: finish)
        try channel.pipeline.syncOperations.addHandlers([socket, handler])
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
    }

    func send(_ text: String) throws {
        try channel.writeInbound(ByteBuffer(string: text))
    }

    /// The lines that came since the last call.
    func lines() -> [String] {
        let text = socket.takeReceived()
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    /// The `id` of each answer that came since the last call.
    func ids() throws -> [JSONValue?] {
        try lines().map { try JSONReader.read($0).object?["id"] }
    }

    /// Shuts the client's writing side down, as socat does at the end of its input.
    func shutDownWriting() {
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    var isClosed: Bool { !channel.isActive }
}

/// What clients of one daemon share.
struct TestHouse {
    let loop = EmbeddedEventLoop()
    let limits: Limits
    let log = TestLog()
    let connections: Connections
    let events: EventLog

    init(_ limits: Limits = Limits()) {
        self.limits = limits
        events = EventLog(capacity: limits.events)
        connections = Connections(limits: limits, counted: DaemonMetrics(), logger: log.logger)
    }
}

/// A request line.
func call(_ method: String, id: Int?, _ text: String = "x") -> String {
    let id = id.map { "\"id\":\($0)," } ?? ""
    return "{\"jsonrpc\":\"2.0\",\(id)\"method\":\"\(method)\",\"params\":[\"\(text)\"]}\n"
}

struct TestParameters: RPCParameters, JSONWritableObject {
    var text: String

    init(text: String) { self.text = text }
    init(from bound: inout BoundParameters) throws(ErrorObject) { text = try bound.required("text") }

    func writeMembers(to json: inout JSONText) { json.member("text", text) }

    var error: any Error { BypassErrorSample.refused(text) }
}

/// Answers at once.
enum EchoMethod: TestMethod {
    static let name = "echo"
}

/// Answers at once, with 20,000 times what it is given.
enum LongMethod: TestMethod {
    static let name = "long"
}

/// Keeps its loop busy for some time.
enum BusyMethod: TestMethod {
    static let name = "busy"
    static let time = TimeAmount.microseconds(125)
}

/// Answers when it is told to.
enum SlowMethod: TestMethod {
    static let name = "slow"

    final class Calls: Sendable {
        private let waiting = Mutex<[(TestParameters, EventLoopPromise<TestParameters>)]>([])

        var texts: [String] { waiting.withLock { $0.map(\.0.text) } }

        func begin(_ parameters: TestParameters, on loop: any EventLoop) -> EventLoopFuture<TestParameters> {
            let promise = loop.makePromise(of: TestParameters.self)
            waiting.withLock { $0.append((parameters, promise)) }
            return promise.futureResult
        }

        /// Answers the call that has waited longest.
        func finishOne() {
            let first = waiting.withLock { $0.removeFirst() }
            first.1.succeed(first.0)
        }
    }
}

/// Subscribes to the house's events.
enum StartMethod: TestMethod {
    static let name = "subscribe"
}

/// Refuses without asking anybody, as parameters that contradict each other are.
enum RefusedMethod: TestMethod {
    static let name = "refused"
}

protocol TestMethod: RPCMethod where Parameters == TestParameters, Result == TestParameters {}

extension TestMethod {
    static var summary: String { "" }
    static var description: String { "" }
    static var permission: Permission { .read }
    static var parameters: ParameterTable { [Parameter("text", "", required: true, .string())] }
    static var result: Schema { .object() }
    static var errors: [ErrorCode] { [] }
}

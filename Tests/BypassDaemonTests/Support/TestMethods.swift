import Bypass
import BypassAPI
import JSONRPC
import Linux
import StrictJSON

@testable import BypassDaemon

/// A request line.
func call(_ method: String, id: Int?, _ text: String = "x") -> String {
    let id = id.map { "\"id\":\($0)," } ?? ""
    return "{\"jsonrpc\":\"2.0\",\(id)\"method\":\"\(method)\",\"params\":[\"\(text)\"]}\n"
}

/// The line of a batch of request lines.
func batch(_ calls: [String]) -> String {
    "[" + calls.map { $0.filter { $0 != "\n" } }.joined(separator: ",") + "]\n"
}

struct TestParameters: RPCParameters, JSONWritableObject {
    var text: String

    init(_ text: String) { self.text = text }

    init(from bound: inout BoundParameters) throws(ErrorObject) {
        text = try bound.required("text")
    }

    func writeMembers(to text: inout JSONText) { text.member("text", self.text) }
}

/// Answers at once.
enum EchoMethod: TestMethod { static let name = "echo" }

/// Answers at once, with 20,000 times the text.
enum LongMethod: TestMethod { static let name = "long" }

/// Answers when the test lets it.
enum SlowMethod: TestMethod { static let name = "slow" }

/// Answers at once, and leaves something to be done after the answer.
enum LaterMethod: TestMethod { static let name = "later" }

/// Subscribes to the server's events.
enum StartMethod: TestMethod { static let name = "subscribe" }

/// Refuses, as the methods refuse parameters that contradict each other.
enum RefusedMethod: TestMethod { static let name = "refused" }

protocol TestMethod: RPCMethod where Parameters == TestParameters, Result == TestParameters {}

extension TestMethod {
    static var summary: String { "" }
    static var description: String { "" }
    static var permission: Permission { .read }
    static var parameters: ParameterTable { [Parameter("text", "", required: true, .string())] }
    static var result: Schema { .object() }
    static var errors: [ErrorCode] { [] }
}

/// Calls of ``SlowMethod`` that are being executed.
final class SlowCalls: Sendable {
    private struct State {
        var begun = 0
        var waiting: [(number: Int, text: String)] = []
        var isOver = false
    }

    private let state = Monitor(State())

    /// The texts of the calls that wait, the oldest first.
    var texts: [String] { state.withLock { $0.waiting.map(\.text) } }

    /// Waits until as many calls wait.
    func texts(_ count: Int) -> [String] {
        state.wait(until: testDeadline()) { $0.waiting.count == count ? $0.waiting.map(\.text) : nil } ?? texts
    }

    func execute(_ text: String) {
        let number = state.update { state in
            state.begun += 1
            state.waiting.append((state.begun, text))
            return state.begun
        }
        state.wait { state in
            state.isOver || !state.waiting.contains { $0.number == number } ? () : nil
        }
    }

    /// Has the call answer that has waited longest, once there is one.
    func finishOne() {
        _ = texts.isEmpty ? state.wait(until: testDeadline()) { $0.waiting.isEmpty ? nil : () } : ()
        state.update { if !$0.waiting.isEmpty { $0.waiting.removeFirst() } }
    }

    /// All calls answer from now on.
    func finishAll() { state.update { $0.isOver = true } }
}

extension Router {
    /// With the test's methods.
    init(metrics: DaemonMetrics, slow: SlowCalls, events: EventLog, later: Monitor<[String]>) {
        self.init(metrics: metrics)
        add(EchoMethod.self) { parameters, _ in parameters }
        add(LongMethod.self) { parameters, _ in TestParameters(String(repeating: parameters.text, count: 20_000)) }
        add(SlowMethod.self) { parameters, _ in
            slow.execute(parameters.text)
            return parameters
        }
        add(LaterMethod.self) { parameters, call in
            call.afterAnswer.add { later.update { $0.append(parameters.text) } }
            return parameters
        }
        add(StartMethod.self) { parameters, call in
            call.subscription.begin(events, after: events.snapshot.sequence)
            return parameters
        }
        add(RefusedMethod.self) { parameters, _ throws(BypassError) -> TestParameters in
            throw BypassError.invalidParameter(parameters.text)
        }
    }
}

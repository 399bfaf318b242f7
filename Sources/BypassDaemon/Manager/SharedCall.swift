internal import Linux
internal import StrictJSON

/// One execution shared by concurrent callers. A caller that arrives during an execution waits for the next one, so no
/// caller gets a result that was begun before its call.
final class SharedCall<Value: Sendable>: Sendable {
    fileprivate struct State {
        var isRunning = false
        /// The number of begun executions.
        var begun = 0
        var waiting = 0
        /// The last result, kept only while callers wait that may use it.
        var last: (number: Int, value: Value)?
    }

    private enum Role {
        case leader(Int)
        case follower(Value)
    }

    private let state = Monitor(State())

    /// The number of calls with neither an answer nor an execution yet.
    var waitingCount: Int { state.withLock(\.waiting) }

    func run(_ body: () -> Value) -> Value {
        // The first execution that begins from now on.
        let wanted = state.withLock { state in
            state.waiting += 1
            return state.begun + 1
        }
        let role = state.wait { state -> Role? in
            if let last = state.last, last.number >= wanted {
                state.stopWaiting()
                return .follower(last.value)
            }
            if state.isRunning { return nil }
            state.stopWaiting()
            (state.isRunning, state.begun) = (true, state.begun + 1)
            return .leader(state.begun)
        }
        switch role {
        case .follower(let value): return value
        case .leader(let number):
            let value = body()
            state.update { state in
                state.isRunning = false
                state.last = state.waiting > 0 ? (number, value) : nil
            }
            return value
        }
    }
}

extension SharedCall.State {
    fileprivate mutating func stopWaiting() {
        waiting -= 1
        if waiting == 0 { last = nil }
    }
}

/// The result of a shared call, written once for all who get it.
struct EncodedResult: JSONWritable, Sendable {
    private let bytes: [UInt8]

    init(_ result: some JSONWritable) {
        bytes = JSONText.bytes(of: result)
    }

    /// An object, whose members `writeMembers` appends.
    ///
    /// - Parameter capacity: about how many bytes they take, if that is many.
    init(capacity: Int = 512, _ writeMembers: (inout JSONText) -> Void) {
        var text = JSONText(capacity: capacity)
        text.object(writeMembers)
        bytes = text.finish()
    }

    var written: [UInt8]? { bytes }

    func write(to text: inout JSONText) {
        text.append(written: bytes.span)
    }
}

internal import CLinux
internal import Glibc
internal import Linux
internal import SystemPackage

/// The table that has the kernel trace packets in a namespace, and the socket on which the kernel reports them.
///
/// The table belongs to a socket (NFT_TABLE_F_OWNER, Linux 5.12): no other program changes it, and the kernel removes it
/// when the socket is closed, also if the process is killed.
struct TraceTable: ~Copyable {
    private var owner: NetlinkSocket
    private var listener: NetlinkSocket
    /// The table is ours.
    private var isStarted = false

    /// To be closed by a thread that no call waits for.
    var sockets: [SharedDescriptor] { [owner.shared, listener.shared] }

    static let name = "kmesh_bypass_trace"

    /// The chain at a hook before the rules that are traced.
    static func first(_ hook: Hook) -> ChainName { ChainName(.inet, name, "\(hook.name)_first") }
    /// The chain after every rule at a hook.
    static func last(_ hook: Hook) -> ChainName { ChainName(.inet, name, "\(hook.name)_last") }

    /// In the calling thread's network namespace.
    init() throws(SystemCallError) {
        let listener = try NetlinkSocket()
        let number = listener.shared.descriptor.rawValue
        try systemCall("setsockopt NETLINK_ADD_MEMBERSHIP") { clinux_join_traces(number) }
        owner = try NetlinkSocket()
        self.listener = listener
    }

    /// Makes the table with chains and rules.
    ///
    /// - Returns: for each operation that makes a rule, the handle that the kernel gave it; 0 for the others.
    mutating func start(_ operations: [Transaction.Operation]) throws(NetfilterError) -> [UInt64] {
        let all = [.addTable(.inet, Self.name, isOwned: true)] + operations
        let handles = try owner.commit(Transaction(all).prepared, generation: nil)
        isStarted = true
        return Array(handles.dropFirst())
    }

    /// Removes the table, if it was made.
    mutating func stop() throws(NetfilterError) {
        guard isStarted else { return }
        isStarted = false
        _ = try owner.commit(Transaction([.deleteTable(.inet, Self.name)]).prepared, generation: nil)
    }

    /// What the kernel has reported since, of packets of others' traces, too.
    mutating func receive(_ body: (TraceMessage) -> Void) throws(NetfilterError) {
        listener.deadline = .now + NetlinkSocket.timeLimit
        try listener.receiveAll("reading a trace") { message in
            if let trace = message.traceMessage { body(trace) }
        }
    }

    /// Waits until the kernel reports something, but not longer than that.
    func wait(for time: Interval) {
        var question = pollfd(fd: listener.shared.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        // If it fails, there is nothing, or what there is is found by reading.
        _ = try? systemCall("poll") { unsafe poll(&question, 1, time.pollMilliseconds) }
    }

    /// The ruleset's generation, and rules of the table with their counters as they are now.
    mutating func reread(
        _ rules: [Ruleset.CountedRule]
    ) throws(NetfilterError) -> (generation: UInt32, rules: [Ruleset.CountedRule]?) {
        owner.deadline = .now + NetlinkSocket.timeLimit
        return try owner.reread(rules)
    }
}

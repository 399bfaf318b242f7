internal import CLibnftnl

/// An operation of a transaction with its message, which libnftnl has built once: what differs from batch to batch is
/// written over it as it is sent.
///
/// A class, so that a batch of them is no more than references.
package final class PreparedOperation: Sendable {
    package let operation: Transaction.Operation
    /// The message, with neither sequence number nor the flags that depend on its place in a batch.
    let message: [UInt8]
    /// The rule that the kernel holds afterwards, but for its handle; nil if the operation makes none.
    package let rule: Ruleset.Rule?

    /// nil unless the operation deletes a rule: the handle that its message has.
    let preparedHandle: UInt64?

    package init(_ operation: Transaction.Operation) {
        self.operation = operation
        if case .deleteRule(_, let handle) = operation { preparedHandle = handle } else { preparedHandle = nil }
        let message = operation.message
        self.message = message
        // The kernel holds what it was sent: read it as the kernel would send it back.
        rule = unsafe message.withUnsafeBytes { bytes in
            var messages = unsafe NetlinkMessages(bytes)
            return messages.next()?.rule
        }
    }
}

extension PreparedOperation {
    fileprivate var deletesRule: Bool { preparedHandle != nil }
}

/// A transaction of prepared operations.
package struct PreparedTransaction: Sendable {
    package private(set) var operations: [PreparedOperation] = []
    /// The objects of the operations that delete, in their order.
    private(set) var handles: [UInt64] = []
    private var size = 0

    package init() {}

    /// Makes room for `count` operations at once.
    package mutating func reserveCapacity(_ count: Int) {
        operations.reserveCapacity(count)
    }

    /// - Parameter handle: of the rule, if the operation deletes one: the prepared one counts for nothing.
    package mutating func append(_ operation: PreparedOperation, handle: UInt64? = nil) {
        operations.append(operation)
        if let prepared = operation.preparedHandle { handles.append(handle ?? prepared) }
        size += operation.message.count
    }

    package var count: Int { operations.count }

    /// An operation as it is sent, for people: with the handle of the rule that it deletes.
    func operation(at index: Int) -> Transaction.Operation {
        guard case .deleteRule(let chain, _) = operations[index].operation else { return operations[index].operation }
        return .deleteRule(chain, handle: handles[operations[..<index].count { $0.deletesRule }])
    }

    /// The messages of the batch. Each operation's has the sequence number `sequence` plus one plus its index.
    func encoded(sequence: UInt32, generation: UInt32?) -> MessageBuffer {
        var buffer = MessageBuffer(bytes: size)
        buffer.appendBatchBegin(generation: generation, sequence: sequence)
        var handles = handles[...]
        for (index, operation) in operations.enumerated() {
            var flags: MessageFlags = []
            // One acknowledgement, for the last message: the kernel reports the errors of the others unasked.
            if index == operations.count - 1 { flags.insert(.acknowledge) }
            let handle = operation.deletesRule ? handles.popFirst() : nil
            buffer.append(operation.message, flags: flags, sequence: sequence &+ 1 &+ UInt32(index), handle: handle)
        }
        buffer.appendBatchEnd(sequence: sequence &+ 1 &+ UInt32(operations.count))
        return buffer
    }
}

extension Transaction.Operation {
    /// Its message by itself.
    fileprivate var message: [UInt8] {
        var buffer = MessageBuffer(messages: 1)
        append(to: &buffer, flags: [], sequence: 0)
        return buffer.bytes
    }
}

extension NetlinkMessage {
    /// Of `newRule`: what the kernel knows the rule by. All else of a rule of ours is known.
    var ruleHandle: UInt64? {
        guard type == MessageType.newRule else { return nil }
        for attribute in attributes where attribute.type == CInt(NFTA_RULE_HANDLE.rawValue) { return attribute.uint64 }
        return nil
    }
}

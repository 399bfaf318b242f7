package import Linux

/// Finds the numbers of the users and groups that a policy file names.
package struct AccountLookup: Sendable {
    /// nil if there is none of that name; throws if that cannot be found out now.
    var uid: @Sendable (_ name: String) throws -> UInt32?
    var gid: @Sendable (_ name: String) throws -> UInt32?

    package init(
        uid: @escaping @Sendable (_ name: String) throws -> UInt32?,
        gid: @escaping @Sendable (_ name: String) throws -> UInt32?
    ) {
        self.uid = uid
        self.gid = gid
    }
}

extension AccountLookup {
    /// In all sources of accounts that this machine has.
    package static var ofThisMachine: AccountLookup {
        AccountLookup(uid: { try UserDatabase.user(named: $0)?.uid }, gid: { try UserDatabase.group(named: $0) })
    }

    private struct NoAnswer: Error, CustomStringConvertible {
        let description = "no answer in time"
    }

    /// The same on the thread of a queue, and with a deadline: an account server may never answer.
    package func answering(by deadline: Instant, on queue: WorkQueue) -> AccountLookup {
        @Sendable func ask(
            _ find: @escaping @Sendable (String) throws -> UInt32?, _ name: String
        ) throws -> UInt32? {
            let answer = Monitor<Result<UInt32?, any Error>?>(nil)
            queue.add {
                let result = Result { try find(name) }
                answer.update { $0 = result }
            }
            guard let result = answer.wait(until: deadline, { $0 }) else { throw NoAnswer() }
            return try result.get()
        }
        let (uid, gid) = (uid, gid)
        return AccountLookup(uid: { try ask(uid, $0) }, gid: { try ask(gid, $0) })
    }
}

internal import BypassPolicy
internal import Linux
internal import Logging

/// Looks up users and groups, of which a server of accounts may never answer.
///
/// A few threads of its own look names up, one each at a time, and a caller waits until a deadline. Without an answer by
/// then a name keeps the last number that is known, or gets the one that this machine's own files have for it.
final class AccountResolver: Sendable {
    private struct Question {
        /// Since when it has been asked; nil if it is not.
        var begun: Instant?
        /// The number of its answers and failures.
        var answers = 0
        var last = Result<UInt32?, any Error>.success(nil)
        /// The last number that was answered.
        var known: UInt32?
        /// The log says that there is no answer.
        var isReported = false

        var isAnswered: Bool { begun == nil && (try? last.get()) != nil }
    }

    private struct NoAnswer: Error, CustomStringConvertible {
        let description = "no answer in time"
    }

    private let accounts: AccountLookup
    private let localAccounts: AccountLookup
    private let queue: WorkQueue
    private let logger: Logger
    private let questions = Monitor<[AccountName: Question]>([:])

    /// As many names as this can be without an answer before others have to wait for a thread.
    static let threads = 4
    /// A name that has had no answer for so long is not waited for again.
    static let maxWait = Interval.seconds(5)

    /// - Parameter queue: where names are looked up. No service stops its threads, which end with the process.
    init(
        _ accounts: AccountLookup = .ofThisMachine, local: AccountLookup = .ofLocalFiles, queue: WorkQueue,
        logger: Logger
    ) {
        self.accounts = accounts
        localAccounts = local
        self.queue = queue
        self.logger = logger
    }

    /// The number of a user or a group; nil if there is none of that name. Throws if that cannot be found out now.
    func find(_ name: AccountName, by deadline: Instant) throws -> UInt32? {
        let (answers, begun) = ask(name)
        let answer = questions.wait(until: min(deadline, begun + Self.maxWait)) { questions in
            questions[name].flatMap { $0.answers > answers ? $0.last : nil }
        }
        do {
            guard let answer else { throw NoAnswer() }
            return try answer.get()
        } catch {
            guard let id = lastKnown(name) else { throw error }
            return id
        }
    }

    /// The names that are without an answer now.
    var unanswered: Set<AccountName> { questions.withLock { Set($0.filter { !$0.value.isAnswered }.keys) } }

    /// Begins to look a name up, unless that is under way, and does not wait.
    ///
    /// - Parameter body: called with the answer on another thread, if the look-up begins now and does not fail.
    /// - Returns: how many answers there have been about it, and since when the next one has been awaited.
    @discardableResult
    func ask(
        _ name: AccountName, then body: @escaping @Sendable (UInt32?) -> Void = { _ in }
    ) -> (answers: Int, begun: Instant) {
        let (isNew, answers, begun) = questions.withLock { questions in
            let question = questions[name] ?? Question()
            let begun = question.begun ?? .now
            questions[name, default: question].begun = begun
            return (question.begun == nil, question.answers, begun)
        }
        if isNew { queue.add { self.answer(name, body) } }
        return (answers, begun)
    }

    private func answer(_ name: AccountName, _ body: (UInt32?) -> Void) {
        let answer = Result { try accounts.id(of: name) }
        questions.update { questions in
            questions[name]?.begun = nil
            questions[name]?.answers += 1
            questions[name]?.last = answer
            guard case .success(let id) = answer else { return }
            questions[name]?.known = id
            questions[name]?.isReported = false
        }
        if case .success(let id) = answer { body(id) }
    }

    private func lastKnown(_ name: AccountName) -> UInt32? {
        let known = questions.withLock { $0[name]?.known } ?? (try? localAccounts.id(of: name)).flatMap(\.self)
        guard let known else { return nil }
        let isReported = questions.withLock { questions in
            defer { questions[name]?.isReported = true }
            return questions[name]?.isReported ?? false
        }
        if !isReported {
            logger.warning(
                "the account server does not answer: the last known number stays in effect",
                metadata: ["account": "\(name)", "number": "\(known)"])
        }
        return known
    }
}

extension AccountLookup {
    /// Asks for all names of a policy side by side, and waits for none.
    static func asking(_ resolver: AccountResolver) -> AccountLookup {
        AccountLookup { name in
            resolver.ask(name)
            return nil
        }
    }

    static func of(_ resolver: AccountResolver, by deadline: Instant) -> AccountLookup {
        AccountLookup { try resolver.find($0, by: deadline) }
    }
}

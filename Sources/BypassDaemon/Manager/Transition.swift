internal import Bypass
internal import BypassAPI
internal import CoreMetrics
internal import Datapath
internal import Linux
internal import Logging

/// The common part of every change of a bypass: the record, the deadline, the counters, the event and the audit.
///
/// All of it is called in the namespace's turn, so for one namespace records and events are in the order of the decisions.
/// What can wait goes into ``AfterAnswer``.
final class Transition: Sendable {
    /// The end of a bypass.
    enum Ending {
        case off, expired
        /// With its namespace.
        case gone

        var event: BypassEvent.Name {
            switch self {
            case .off: .off
            case .expired: .expired
            case .gone: .gone
            }
        }
    }

    let store: BypassStore
    let timers = ExpiryTimers()
    let masks: MaskWatch
    let repairs = RepairStates()
    let exemptions = ExemptionChecks()
    let leftovers = Leftovers()
    let events: EventLog
    private let matcher: Matcher
    private let rulesets: RulesetCache
    private let audit: Audit
    private let notifier: SystemdNotifier
    private let metrics: DaemonMetrics
    private let log: RateLimitedLog
    private let logger: Logger

    init(
        store: BypassStore, masks: MaskWatch, events: EventLog, matcher: Matcher, rulesets: RulesetCache, audit: Audit,
        notifier: SystemdNotifier, metrics: DaemonMetrics, log: RateLimitedLog, logger: Logger
    ) {
        self.store = store
        self.masks = masks
        self.events = events
        self.matcher = matcher
        self.rulesets = rulesets
        self.audit = audit
        self.notifier = notifier
        self.metrics = metrics
        self.log = log
        self.logger = logger
    }

    // MARK: on

    /// Keeps a record, before the kernel is asked for what it says. If it cannot be written, the bypass's status says so.
    func record(_ record: BypassRecord, of inode: UInt64) {
        do throws(SystemCallError) {
            try store.set(record, of: inode)
        } catch {
            log.recordUnwritten(error)
        }
    }

    /// The kernel has refused what the record says: what there was before is again.
    func rollBack(to old: BypassRecord?, of inode: UInt64) {
        if let old {
            record(old, of: inode)
        } else {
            store.withdraw(inode)
        }
    }

    /// Entries of the matcher's that no record went with have records now.
    func reportCount() { notifier.bypassed(store.count) }

    /// The bypass that the record describes.
    func activate(_ record: BypassRecord, of inode: UInt64) {
        timers.set(inode, to: record.deadline ?? 0)
        store.forgetExpired(inode)
        repairs.markHealthy(inode)
        leftovers.remove(inode)
    }

    /// Watches a mask, after the answer, which does not wait for the system calls that this takes.
    ///
    /// - Parameter socket: one in the namespace.
    func watchMask(of inode: UInt64, in socket: SharedDescriptor, _ after: inout AfterAnswer) {
        after.add { [self] in
            masks.add(inode, socket)
            // The bypass may have ended meanwhile, and nothing would end the watch.
            if store[inode] == nil { masks.remove(inode) }
        }
    }

    // MARK: off

    /// Keeps what the end of a bypass has left in its namespace, for another attempt to remove it.
    ///
    /// - Parameter record: of the bypass, or how else the namespace is found again.
    func keepLeftovers(of ending: Reconciler.Ending, _ inode: UInt64, _ record: BypassRecord) {
        guard leftovers.set(ending.leftovers, of: inode, record, ending.entry, at: BootClock.now) else { return }
        let metadata: Logger.Metadata = ["netns": "\(record.netns)", "inode": "\(inode)"]
        for warning in leftovers.warnings(of: inode, cookie: record.cookie) {
            logger.warning("\(warning.message)", metadata: metadata)
        }
    }

    /// The one way in which a bypass ends.
    ///
    /// - Parameters:
    ///   - record: nil if there was none; then only `removed` makes it an event.
    ///   - cookie: of the namespace, if that is still there.
    ///   - status: as it is now; gets the generation that goes with the end.
    ///   - cause: whose call ended it; nil if it ended by itself.
    ///   - removed: the rules of other programs that went with it.
    ///   - auditRecord: who ended it; nil if nothing changed.
    func end(
        _ ending: Ending, _ inode: UInt64, _ record: BypassRecord?, cookie: UInt64?, status: inout BypassStatus,
        cause: BypassEvent.Cause? = nil, removed: [String] = [], audit auditRecord: AuditRecord?,
        _ after: inout AfterAnswer
    ) {
        timers.cancel(inode)
        repairs.remove(inode)
        exemptions.remove(inode)
        switch ending {
        case .gone:
            store.remove(inode)
            try? matcher.remove(inode)
            rulesets.remove(inode)
            leftovers.remove(inode)
            status.generation = store.nextGeneration()
        case .off, .expired:
            status.generation = store.end(inode, cookie: cookie)
            if ending == .expired { metrics.expiries.increment() }
        }
        // After its record has gone: see ``watchMask(of:in:_:)``.
        masks.remove(inode)
        if record != nil || !removed.isEmpty {
            publish(
                ending.event, status, cause: cause ?? record.map(BypassEvent.Cause.init), removed: removed, &after)
        }
        after.add { [self] in
            store.flush(inode)
            if let auditRecord { audit.write(auditRecord) }
            notifier.bypassed(store.count)
        }
    }

    // MARK: notifications

    /// Adds an event for subscribers, who are woken after the answer.
    func publish(
        _ event: BypassEvent.Name, _ status: BypassStatus, cause: BypassEvent.Cause? = nil, damage: [String]? = nil,
        removed: [String] = [], _ after: inout AfterAnswer
    ) {
        events.publish(event, status, cause: cause, damage: damage, removed: removed)
        after.add { [events] in events.wakeSubscribers() }
    }

    /// Audits what a call has done or not done.
    func complete(_ auditRecord: AuditRecord, _ after: inout AfterAnswer) {
        after.add { [self] in
            audit.write(auditRecord)
            notifier.bypassed(store.count)
        }
    }
}

extension BypassEvent.Cause {
    /// Of a bypass that ended by itself.
    fileprivate init(_ record: BypassRecord) {
        self.init(by: record.setBy, owner: record.owner, reason: record.reason)
    }
}

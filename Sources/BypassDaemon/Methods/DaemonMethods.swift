internal import Bypass
internal import BypassAPI
internal import Datapath
internal import Linux

// The methods of the contract that are about the daemon itself, and ask no namespace.

extension Router {
    /// `info`
    ///
    /// - Parameter kernel: its release, as `uname -r` prints it.
    mutating func addInfo(_ manager: BypassManager, startedAt: Instant, kernel: String) {
        let matcher = InfoMethod.Result.Matcher(pin: manager.matcher.pin, tag: manager.matcher.tagText)
        let result = InfoResult { uptime, bypassed in
            InfoMethod.Result(kernel: kernel, uptimeSeconds: uptime, bypassed: bypassed, matcher: matcher)
        }
        add(InfoMethod.self) { _, _ in
            result.encoded(
                uptime: Int((Instant.now - startedAt).nanoseconds / 1_000_000_000), bypassed: manager.store.count)
        }
    }

    /// `metrics`
    mutating func addMetrics(_ manager: BypassManager) {
        add(MetricsMethod.self) { _, _ in
            MetricsMethod.Result(text: manager.metricsText)
        }
    }

    /// `rpc.discover`
    mutating func addDiscover() {
        add(DiscoverMethod.self) { _, _ in OpenRPCDocument() }
    }

    /// `subscribe`: what is bypassed now, and from then on what happens. The call waits until the bypasses that an earlier daemon
    /// left have been read.
    mutating func addSubscribe(_ events: EventLog, after recovery: Recovery, unread: UnreadAnswers) {
        let snapshots = SharedCall<(sequence: Int, result: EncodedResult)>()
        add(SubscribeMethod.self) { parameters, call throws(BypassError) in
            if (parameters.stream == nil) != (parameters.sequence == nil) {
                throw .invalidParameter("stream and sequence go together")
            }
            recovery.waitUntilDone()
            call.subscription.endEvents()
            if parameters.stream == events.stream, let sequence = parameters.sequence,
                events.reachesBack(to: sequence)
            {
                call.subscription.begin(events, after: sequence)
                return EncodedResult(
                    SubscribeMethod.Result(stream: events.stream, sequence: sequence, bypasses: nil))
            }
            unread.waitForRoom()
            let snapshot = snapshots.run {
                let (sequence, bypasses) = events.snapshot
                let list = StatusList(bypasses)
                let result = EncodedResult {
                    SubscribeMethod.Result.writeMembers(events.stream, sequence, list, list.warnings, to: &$0)
                }
                return (sequence, result)
            }
            call.subscription.begin(events, after: snapshot.sequence)
            return snapshot.result
        }
    }
}

/// The result of `info`, which liveness checks ask for often: written again only when it says something else.
private final class InfoResult: Sendable {
    private struct Written {
        var uptime: Int
        var bypassed: Int
        var result: EncodedResult
    }

    private let last = Monitor<Written?>(nil)
    private let make: @Sendable (_ uptime: Int, _ bypassed: Int) -> InfoMethod.Result

    init(_ make: @escaping @Sendable (_ uptime: Int, _ bypassed: Int) -> InfoMethod.Result) {
        self.make = make
    }

    func encoded(uptime: Int, bypassed: Int) -> EncodedResult {
        last.withLock { last in
            if let last, last.uptime == uptime, last.bypassed == bypassed { return last.result }
            let result = EncodedResult(make(uptime, bypassed))
            last = Written(uptime: uptime, bypassed: bypassed, result: result)
            return result
        }
    }
}

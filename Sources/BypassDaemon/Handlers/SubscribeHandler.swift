internal import Bypass
internal import BypassAPI
internal import NIOCore

extension Engine {
    /// `subscribe`: what is bypassed now, and from then on what happens. Before the bypasses that an earlier daemon left
    /// have been looked at, nobody can be told what is.
    func subscribe(
        _ parameters: SubscribeMethod.Parameters, with subscription: Subscription, on loop: any EventLoop
    ) -> EventLoopFuture<SubscribeMethod.Result> {
        if (parameters.stream == nil) != (parameters.sequence == nil) {
            return loop.makeFailedFuture(BypassError.invalidParameter("stream and sequence go together"))
        }
        let bound = NIOLoopBound(subscription, eventLoop: loop)
        return adopted.hop(to: loop).map { self.subscribe(parameters, with: bound.value, on: loop) }
    }

    private func subscribe(
        _ parameters: SubscribeMethod.Parameters, with subscription: Subscription, on loop: any EventLoop
    ) -> SubscribeMethod.Result {
        if parameters.stream == events.stream, let sequence = parameters.sequence, events.reachesBack(to: sequence) {
            subscription.begin(events, after: sequence, on: loop)
            return .init(stream: events.stream, sequence: sequence, bypasses: nil)
        }
        let (sequence, bypasses) = events.snapshot
        subscription.begin(events, after: sequence, on: loop)
        return .init(stream: events.stream, sequence: sequence, bypasses: bypasses)
    }
}

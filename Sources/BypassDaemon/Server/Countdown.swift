internal import NIOCore

/// A time that runs out unless it is stopped first.
struct Countdown {
    private var task: Scheduled<Void>?

    /// One that runs already goes on as it is.
    mutating func start(_ time: TimeAmount, on loop: any EventLoop, _ end: @escaping () -> Void) {
        if task != nil { return }
        task = loop.assumeIsolated().scheduleTask(in: time, end)
    }

    mutating func stop() {
        task?.cancel()
        task = nil
    }
}

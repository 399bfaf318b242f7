internal import NIOCore

/// The connections of one event loop that have more to do than may be done at a time. They take turns, and between two
/// turns the loop looks at its sockets. Lives on its loop.
final class Turns {
    /// How long a connection may keep its loop busy at a time.
    static let length = TimeAmount.microseconds(500)

    /// For how long a connection that used up its turn has to stand in line before it does anything. Otherwise many that
    /// each come back with a little more, before each look at the sockets, would keep the loop from those that ask
    /// for little.
    static let memory = TimeAmount.milliseconds(10)

    /// A pause, since `execute` would not do: a loop carries out whatever was submitted, also meanwhile, before it looks
    /// at its sockets again. For the same reason there is one pause for all who wait, and not one for each.
    private static let pause = TimeAmount.microseconds(50)

    private let loop: NIOIsolatedEventLoop
    private var waiting: [() -> Void] = []

    init(on loop: any EventLoop) {
        self.loop = loop.assumeIsolated()
    }

    /// Carries out `turn` when those who came before have had theirs.
    func wait(_ turn: @escaping () -> Void) {
        waiting.append(turn)
        if waiting.count == 1 { schedule() }
    }

    private func schedule() {
        loop.scheduleTask(in: Self.pause) {
            // It stays in the line meanwhile: if it comes again, then as the last.
            self.waiting[0]()
            self.waiting.removeFirst()
            if !self.waiting.isEmpty { self.schedule() }
        }
    }
}

/// Work that a call defers until its answer is sent, on the same thread.
struct AfterAnswer {
    private var actions: [() -> Void] = []

    mutating func add(_ action: @escaping () -> Void) {
        actions.append(action)
    }

    /// Does what was left, in the order in which it was added.
    mutating func run() {
        if actions.isEmpty { return }
        for action in actions { action() }
        actions.removeAll(keepingCapacity: true)
    }
}

internal import Bypass
internal import BypassAPI
internal import Console

/// What a trace shows, and when it ends: until the first connection there is nothing else to see.
func traceHeading(_ result: TraceMethod.Result, _ style: Style) -> String {
    let text = "new connections of \(result.netns), for \(result.seconds) seconds or until there are \(result.count)"
    return style.paint(text.printable, .bold) + "\n"
}

/// A report of a trace as one line.
func traceLine(_ event: TraceEvent, _ style: Style) -> String {
    let text =
        switch event {
        case .connection(let connection): line(connection, style)
        case .leftOut(let count): style.paint("\(connections(count)) left out", .yellow)
        case .ended(let end): style.paint(line(end), .bold)
        }
    return text + "\n"
}

private func line(_ connection: ConnectionEvent, _ style: Style) -> String {
    let color: Style.Color? =
        connection.ends.at == .sidecar ? .yellow : connection.ends.at == .application ? .green : nil
    let rules = connection.rules.map { step in
        let place = [step.family, step.table, step.chain, step.rule.map { "(\($0))" }].compactMap(\.self)
        return "\(place.joined(separator: " ")): \(step.verdict)"
    }
    let source = connection.source == .rules && !rules.isEmpty ? ["worked out from the rules"] : []
    let words = [
        connection.time.description, connection.direction.rawValue.padded(to: 8), connection.protocol.rawValue,
        "\(connection.from) -> \(connection.to)".printable, style.paint(words(connection.ends), color),
    ]
    return (words + rules.map(\.printable) + source).joined(separator: "  ")
}

private func words(_ end: ExplainMethod.End) -> String {
    switch end.at {
    case .application: "application"
    case .sidecar: "sidecar" + (end.port.map { ":\($0)" } ?? "")
    case .dropped: "dropped"
    case .unknown: "not known"
    }
}

private func line(_ end: TraceEnd) -> String {
    let reason =
        switch end.reason {
        case .time: "the time of --for is over"
        case .count: "the number of --count is reached"
        case .gone: "the namespace is gone, or no longer has this name"
        case .failed: "the kernel no longer reports"
        }
    if end.connections == 0, end.leftOut == 0 {
        return "no new connection, and older ones are not shown: \(reason)"
    }
    return "\(connections(end.connections)), \(end.leftOut) left out: \(reason)"
}

private func connections(_ count: Int) -> String { "\(count) \(count == 1 ? "connection" : "connections")" }

extension String {
    fileprivate func padded(to count: Int) -> String {
        self + String(repeating: " ", count: max(0, count - self.count))
    }
}

internal import Bypass
internal import BypassAPI
internal import Console

/// A paragraph for each first packet: where it ends, and a line for each step.
func explanation(_ result: ExplainMethod.Result, _ style: Style) -> String {
    let paragraphs = result.probes.map { probe in
        style.paint(headline(probe).printable, .bold) + "\n" + TextTable(rows: probe.steps.map(row)).text(style)
    }
    let nothing =
        "nothing to explain: \(result.netns) has no address that others can reach, or none of the family of --from; "
        + "name a destination with --to"
    return (paragraphs.isEmpty ? nothing.printable + "\n" : paragraphs.joined(separator: "\n"))
        + result.warnings.map { style.warning($0) }.joined()
}

private func headline(_ probe: ExplainMethod.Probe) -> String {
    let sender = probe.from.map { " from \($0)" } ?? ""
    let source = probe.source == .trace ? "traced by the kernel" : "worked out from the rules"
    return
        "\(probe.direction.rawValue) \(probe.protocol.rawValue)\(sender) to \(probe.to): \(words(probe)) (\(source))"
}

private func words(_ probe: ExplainMethod.Probe) -> String {
    let end = probe.ends
    let port = end.port.map { "port \($0)" }
    switch end.at {
    case .application: return "directly to " + (port ?? "the application") + listener(end)
    case .sidecar: return "to the sidecar" + (port.map { " at \($0)" } ?? "") + listener(end)
    case .dropped: return "dropped"
    case .unknown:
        let isMarked = probe.steps.contains(where: \.decides)
        return "not known where it ends" + (isMarked ? ": the line with '>' leaves it open" : "")
    }
}

/// Nothing where it is not known, or not in the namespace.
private func listener(_ end: ExplainMethod.End) -> String {
    if let process = end.process { return ", where \(process) listens" }
    switch end.isListening {
    case nil: return ""
    case false?: return ", where nothing listens"
    case true?: return ", where a process listens that was not found"
    }
}

private func row(_ step: ExplainMethod.Step) -> [Cell] {
    let color: Style.Color? = step.decides ? .green : nil
    return [
        Cell(step.decides ? ">" : " ", color), Cell("\(step.hook) \(step.priority)", color),
        Cell("\(step.family) \(step.table) \(step.chain)", color), Cell(step.rule ?? "", color),
        Cell(step.verdict, color),
    ]
}

internal import Bypass
internal import BypassAPI
internal import Console

/// A paragraph for each first packet: where it ends, and a line for each step.
func explanation(_ result: ExplainMethod.Result, _ style: Style) -> String {
    let paragraphs = result.probes.map { probe in
        style.paint(headline(probe).printable, .bold) + "\n" + TextTable(rows: probe.steps.map(row)).text(style)
    }
    let nothing = "nothing to explain: \(result.netns) has no address but that of the loopback"
    return (paragraphs.isEmpty ? nothing.printable + "\n" : paragraphs.joined(separator: "\n"))
        + result.warnings.map { style.warning($0) }.joined()
}

private func headline(_ probe: ExplainMethod.Probe) -> String {
    let sender = probe.from.map { " from \($0)" } ?? ""
    let source = probe.source == .trace ? "traced by the kernel" : "from the rules"
    return
        "\(probe.direction.rawValue) \(probe.protocol.rawValue)\(sender) to \(probe.to): \(words(probe.ends)) (\(source))"
}

private func words(_ end: ExplainMethod.End) -> String {
    let port = end.port.map { " at port \($0)" } ?? ""
    let process = end.process.map { ", \($0)" } ?? ""
    switch end.at {
    case .application: return "not redirected\(port)\(process)"
    case .sidecar: return "to the sidecar\(port)\(process)"
    case .dropped: return "dropped"
    case .unknown: return "not known where it ends"
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

import BypassAPI
import Console
import Testing

@testable import kmesh_bypassctl

@Suite struct ExplainTextTests {
    private let style = Style(isColored: false, now: Timestamp(secondsSince1970: 0))

    private func step(_ chain: String, _ rule: String?, _ verdict: String, decides: Bool = false) -> ExplainMethod.Step
    {
        .init(
            hook: "output", priority: -100, family: "ip", table: "nat", chain: chain, rule: rule, verdict: verdict,
            decides: decides)
    }

    @Test func `Each step is a line, what decides is marked, and nothing in it is for the terminal`() {
        let result = ExplainMethod.Result(
            netns: "web", inode: 7,
            probes: [
                .init(
                    direction: .outbound, family: "ip", protocol: .tcp, to: "192.0.2.1:80", from: "10.0.0.7",
                    source: .trace,
                    steps: [
                        step("OUTPUT", "rule 1, handle 5", "jump \u{1B}"),
                        step("REDIRECT", "rule 2, handle 17", "redirect to :15001", decides: true),
                    ], ends: .init(at: .sidecar, port: 15001, process: "envoy\u{7}[812]", isListening: true)),
                .init(
                    direction: .inbound, family: "ip6", protocol: .udp, to: "[fd00::7]:53", from: nil, source: .rules,
                    steps: [], ends: .init(at: .unknown)),
            ], warnings: [.init(code: "unreadable", message: "what")])
        #expect(
            explanation(result, style) == """
                outbound tcp from 10.0.0.7 to 192.0.2.1:80: to the sidecar at port 15001, where envoy\\u{7}[812] listens (traced by the kernel)
                   output -100  ip nat OUTPUT    rule 1, handle 5   jump \\u{1b}
                >  output -100  ip nat REDIRECT  rule 2, handle 17  redirect to :15001

                inbound udp to [fd00::7]:53: not known where it ends (worked out from the rules)
                warning: what (unreadable)

                """)
        #expect(
            explanation(.init(netns: "web", inode: 7, probes: [], warnings: []), style)
                == "nothing to explain: web has no address that others can reach, or none of the family of --from; name a "
                + "destination with --to\n")
    }

    @Test(
        arguments: [
            (.init(at: .application, port: 80), "directly to port 80"), (.init(at: .dropped), "dropped"),
            (.init(at: .unknown), "not known where it ends"),
            (.init(at: .application, port: 80, isListening: false), "directly to port 80, where nothing listens"),
            (
                .init(at: .sidecar, port: 9, isListening: true),
                "to the sidecar at port 9, where a process listens that was not found"
            ),
            (
                .init(at: .sidecar, port: 9, process: "envoy[7]", isListening: true),
                "to the sidecar at port 9, where envoy[7] listens"
            ),
        ] as [(ExplainMethod.End, String)])
    func `Each end has its words`(end: ExplainMethod.End, text: String) {
        let probe = ExplainMethod.Probe(
            direction: .inbound, family: "ip", protocol: .tcp, to: "a", from: nil, source: .rules, steps: [], ends: end)
        let result = ExplainMethod.Result(netns: "web", inode: 7, probes: [probe], warnings: [])
        #expect(explanation(result, style) == "inbound tcp to a: \(text) (worked out from the rules)\n")
    }
}

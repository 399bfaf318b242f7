import CoreMetrics
import PrometheusMetrics
import Testing

@Suite struct PrometheusMetricsTests {
    @Test("Counters, gauges and timers are written by name and labels, with their help")
    func text() {
        let factory = PrometheusFactory(help: ["calls_total": "Calls,\nby \"method\" \\ result."])
        let counter = { (method: String) in
            Counter(label: "calls_total", dimensions: [("result", "ok"), ("method", method)], factory: factory)
        }
        counter("b").increment(by: 2)
        counter("a\"\\\n").increment()
        counter("b").increment()
        Meter(label: "now", factory: factory).set(5)
        Meter(label: "part", factory: factory).set(0.25)
        #expect(
            factory.text == #"""
                # HELP calls_total Calls,\nby "method" \\ result.
                # TYPE calls_total counter
                calls_total{method="a\"\\\n",result="ok"} 1
                calls_total{method="b",result="ok"} 3
                # TYPE now gauge
                now 5
                # TYPE part gauge
                part 0.25

                """#)
    }

    @Test("A timer is a histogram in seconds, whose buckets hold the smaller ones")
    func histogram() {
        let factory = PrometheusFactory()
        let timer = Timer(label: "took_seconds", dimensions: [("method", "on")], factory: factory)
        for nanoseconds: Int64 in [1, 100_000, 100_001, 3_000_000, 20_000_000_000] {
            timer.recordNanoseconds(nanoseconds)
        }
        let lines = factory.text.split(separator: "\n")
        #expect(lines.contains(#"took_seconds_bucket{method="on",le="0.001"} 3"#))
        #expect(lines.contains(#"took_seconds_bucket{method="on",le="0.01"} 4"#))
        #expect(lines.contains(#"took_seconds_bucket{method="on",le="10"} 4"#))
        #expect(lines.contains(#"took_seconds_bucket{method="on",le="+Inf"} 5"#))
        #expect(lines.contains(#"took_seconds_count{method="on"} 5"#))
        #expect(lines.contains { $0.hasPrefix(#"took_seconds_sum{method="on"} 20.0032"#) })
    }

    @Test("Nothing that is counted side by side is lost")
    func concurrency() async {
        let factory = PrometheusFactory()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let counter = Counter(label: "c", factory: factory)
                    let timer = Timer(label: "t", factory: factory)
                    for _ in 0..<1000 {
                        counter.increment()
                        timer.recordNanoseconds(1)
                    }
                }
            }
        }
        #expect(factory.text.contains("c 8000\n") && factory.text.contains("t_count 8000\n"))
    }
}

import ArgumentParser

/// Where `/healthz`, `/readyz` and `/metrics` are answered.
struct HealthAddress: ParsableArguments {
    @Option(help: ArgumentHelp("Answer /healthz, /readyz and /metrics here.", valueName: "host:port"))
    var healthAddress = "127.0.0.1:9466"

    func validate() throws {
        guard let colon = healthAddress.lastIndex(of: ":"), let port = Int(healthAddress[colon...].dropFirst()),
            (0...65535).contains(port), colon != healthAddress.startIndex
        else { throw ValidationError("--health-address must be HOST:PORT, such as 127.0.0.1:9466") }
    }

    /// Without the brackets of an IPv6 address.
    var host: String {
        String(
            healthAddress[..<(healthAddress.lastIndex(of: ":") ?? healthAddress.endIndex)].filter { !"[]".contains($0) }
        )
    }

    var port: Int {
        healthAddress.lastIndex(of: ":").flatMap { Int(healthAddress[$0...].dropFirst()) } ?? 0
    }
}

internal import Linux

/// The capabilities that the daemon has under systemd, as the unit lists them. The tests' daemon has one more: it makes its
/// own socket, and gives it to the group, as systemd does there.
package enum UnitCapabilities {
    private static let names: [String] = {
        let unit = #filePath.dropLast("Tests/Support/UnitCapabilities.swift".count) + "systemd/kmesh-bypassd.service"
        let text = (try? Files.text(String(unit))) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(key) }
        guard let line else { fatalError("no capabilities in \(unit)") }
        return line.dropFirst(key.count).split(separator: " ").map { $0.dropFirst("CAP_".count).lowercased() }
            + ["chown"]
    }()

    private static let key = "CapabilityBoundingSet="

    /// Starts a program with the unit's capabilities.
    package static var launcher: [String] { launcher(without: nil) }

    /// The same, without one of them, as setpriv(1) writes it.
    package static func launcher(without missing: String?) -> [String] {
        let kept = names.filter { $0 != missing }.map { ",+" + $0 }.joined()
        return ["/usr/bin/setpriv", "--inh-caps=-all", "--bounding-set=-all\(kept)", "--no-new-privs"]
    }
}

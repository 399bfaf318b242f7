internal import BypassAPI
internal import Console
internal import StrictJSON
internal import Subprocess
internal import SystemPackage

/// Checks of the kernel, the pins and the namespaces, which `kmesh-bypassd repair` makes: this tool links none of the
/// libraries that they need.
struct NodeChecks {
    let bpffs: String
    /// Whether leftovers are removed, too.
    let repairs: Bool

    private struct Report: Decodable {
        var findings: [Finding]
    }

    func findings() async -> [Finding] {
        guard let daemon = Console.program(Product.name) else {
            let message = "\(Product.name) is not installed here: kernel, pins and leftovers were not checked"
            let advice = "on a node, install the package kmesh-bypassd, or run systemd/install.sh"
            return [Finding(check: "kernel", level: repairs ? .problem : .unknown, message: message, advice: advice)]
        }
        let arguments = ["repair", "--json", "--bpffs", bpffs] + (repairs ? [] : ["--dry-run"])
        do {
            // Ends with 1 if it found a problem.
            let result = try await Subprocess.run(
                .path(FilePath(daemon)), arguments: Arguments(arguments), output: .string(limit: 16 << 20),
                error: .string(limit: 1 << 20))
            guard let report = Self.report(result.standardOutput) else {
                let reason = result.standardError.split(separator: "\n").first ?? "\(result.terminationStatus)"
                return [failure(daemon, String(reason))]
            }
            return report.findings
        } catch {
            return [failure(daemon, "\(error)")]
        }
    }

    private static func report(_ output: String) -> Report? {
        let line = output.split(separator: "\n").first.map(String.init) ?? ""
        guard let value = try? JSONReader.read(line) else { return nil }
        return try? JSONDecoding.decode(Report.self, from: value, unknownMembers: .ignore)
    }

    private func failure(_ daemon: String, _ reason: String) -> Finding {
        .problem(
            "kernel", "\(daemon) repair failed: \(reason)",
            "run '\(Product.name) repair --dry-run' to see what is wrong")
    }
}

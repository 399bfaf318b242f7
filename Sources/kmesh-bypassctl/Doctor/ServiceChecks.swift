internal import Bypass
internal import BypassAPI
internal import BypassClient
internal import BypassPolicy
internal import Console
internal import Linux

/// Checks that need no more than the socket and files that everyone may read: whether the daemon is installed, runs and
/// answers.
struct ServiceChecks {
    /// Its path.
    let socket: String

    func findings() async -> [Finding] {
        let units = units()
        let (daemon, isAnswering) = await daemon()
        // That a unit is missing, or not enabled, is why nothing listens: one cause is one finding.
        guard !isAnswering, units.level != .ok, let daemon = daemon.first else { return [policy(), units] + daemon }
        return [
            policy(),
            Finding(
                check: "daemon", level: daemon.level, message: "\(daemon.message): \(units.message)",
                advice: units.advice),
        ]
    }

    private func policy() -> Finding {
        do throws(PolicySource.Failure) {
            let source = try PolicySource(PolicyFile.path)
            if let reason = source.untrustedReason {
                return .problem("policy", reason, "the daemon accepts it once only root can write it")
            }
            if !source.warnings.isEmpty {
                return .warning(
                    "policy", source.warnings.joined(separator: "; "),
                    "the rest of the policy applies; these names apply once this machine knows them")
            }
            return .ok(
                "policy",
                source.policy.isBuiltIn
                    ? "built in: there is no \(source.path)"
                    : "\(source.path), grants: \(source.policy.grants.count)")
        } catch {
            return .problem(
                "policy", error.lines.joined(separator: "; "), "run kmesh-bypassctl policy check: it shows the lines")
        }
    }

    /// Read from the file system: systemctl is not executed.
    private func units() -> Finding {
        guard Systemd.isBooted else { return .ok("units", "systemd does not run here") }
        let folders = ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"]
        let missing = ["kmesh-bypassd.socket", "kmesh-bypassd.service"].filter { unit in
            !folders.contains { Files.exists($0 + "/" + unit) }
        }
        guard missing.isEmpty else {
            return .problem(
                "units", "not installed: \(missing.joined(separator: ", "))",
                "the package kmesh-bypassd or systemd/install.sh installs them")
        }
        guard Files.exists("/etc/systemd/system/sockets.target.wants/kmesh-bypassd.socket") else {
            return .warning(
                "units", "kmesh-bypassd.socket is not enabled: after a reboot nothing listens",
                "systemctl enable --now kmesh-bypassd.socket")
        }
        return .ok("units", "installed and enabled")
    }

    /// The daemon's findings, and whether it has answered.
    private func daemon() async -> ([Finding], isAnswering: Bool) {
        do throws(BypassClientError) {
            let client = try await BypassClient.connect(to: socket, timeout: .seconds(5))
            let info = try await client.info()
            let list = try await client.list()
            await client.close()
            return ([version(info)] + bypasses(list), true)
        } catch {
            return ([.problem("daemon", "\(error)", remedy(error))], false)
        }
    }

    private func version(_ info: InfoMethod.Result) -> Finding {
        guard info.fullVersion == Product.fullVersion else {
            let restart = Systemd.isBooted ? "systemctl restart \(Product.name)" : "stop it and start the new one"
            return .warning(
                "daemon", "version \(info.fullVersion) answers, but this tool is \(Product.fullVersion)",
                "\(restart): bypasses stay on")
        }
        return .ok("daemon", "version \(info.fullVersion) answers on \(socket), bypassed namespaces: \(info.bypassed)")
    }

    /// The faults of bypasses, each once for all that have it.
    private func bypasses(_ list: [BypassStatus]) -> [Finding] {
        let concerns = Concern.all(of: list).map { concern, names in
            Finding.warning(
                "bypasses", "\(enumeration(of: names)): \(concern.clause)", concern.advice(names.first ?? "NETNS"))
        }
        return concerns.isEmpty ? [.ok("bypasses", list.isEmpty ? "none" : "\(list.count), all effective")] : concerns
    }

    /// Without what the finding says.
    private func remedy(_ error: BypassClientError) -> String {
        let (words, finding) = (advice(on: error), "\(error): ")
        return words.hasPrefix(finding) ? String(words.dropFirst(finding.count)) : words
    }
}

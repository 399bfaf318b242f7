internal import Bypass
internal import BypassAPI
internal import BypassClient
internal import BypassPolicy
internal import Console
internal import Linux

/// Checks that need no more than the socket and files that everyone may read: whether the daemon is installed, runs and
/// answers.
struct ServiceChecks {
    /// Where it listens.
    let socket: String

    func findings() async -> [Finding] {
        await [policy()] + units() + [daemon()]
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
    private func units() -> [Finding] {
        guard Files.exists("/run/systemd/system") else {
            return [.ok("units", "systemd does not run here")]
        }
        let folders = ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"]
        let missing = ["kmesh-bypassd.socket", "kmesh-bypassd.service"].filter { unit in
            !folders.contains { Files.exists($0 + "/" + unit) }
        }
        guard missing.isEmpty else {
            return [
                .problem(
                    "units", "not installed: \(missing.joined(separator: ", "))", "systemd/install.sh installs them")
            ]
        }
        guard Files.exists("/etc/systemd/system/sockets.target.wants/kmesh-bypassd.socket") else {
            return [
                .warning(
                    "units", "kmesh-bypassd.socket is not enabled: after a reboot nothing listens",
                    "systemctl enable --now kmesh-bypassd.socket")
            ]
        }
        return [.ok("units", "installed and enabled")]
    }

    private func daemon() async -> Finding {
        do throws(BypassClientError) {
            let client = try await BypassClient.connect(to: socket, timeout: .seconds(5))
            let info = try await client.info()
            await client.close()
            guard info.version == Product.version else {
                return .warning(
                    "daemon", "version \(info.version) answers, but this tool is \(Product.version)",
                    "systemctl restart kmesh-bypassd: bypasses stay on")
            }
            return .ok("daemon", "version \(info.version) answers on \(socket), bypassed namespaces: \(info.bypassed)")
        } catch {
            return .problem("daemon", "\(error)", "\(advice(on: error))")
        }
    }
}

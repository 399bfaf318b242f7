internal import Bypass
internal import BypassAPI
internal import BypassClient
internal import BypassPolicy
internal import Linux

/// Whether the daemon is installed, runs and answers.
struct ServiceChecks {
    /// Where it listens.
    let socket: String

    func findings() async -> [Finding] {
        await [policy()] + units() + [daemon()]
    }

    private func policy() -> Finding {
        do throws(PolicySource.Failure) {
            let source = try PolicySource(PolicyFile.path)
            if let untrustedReason = source.untrustedReason {
                return .problem("policy", untrustedReason, "the daemon takes it once root alone can write it")
            }
            return .ok(
                "policy",
                source.policy.isBuiltIn
                    ? "built in: there is no \(source.path)"
                    : "\(source.path), grants: \(source.policy.grants.count)")
        } catch {
            return .problem(
                "policy", error.lines.joined(separator: "; "), "kmesh-bypassctl policy check says it line by line")
        }
    }

    /// Read from the file system: nothing is executed here.
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
                    "units", "kmesh-bypassd.socket is not enabled: nobody listens after a reboot",
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
                    "daemon", "version \(info.version) answers, and this tool is \(Product.version)",
                    "systemctl restart kmesh-bypassd: bypasses stay on")
            }
            return .ok("daemon", "version \(info.version) answers on \(socket), bypassed namespaces: \(info.bypassed)")
        } catch {
            return .problem("daemon", "\(error)", "\(advice(on: error))")
        }
    }
}

internal import Console
internal import Subprocess
internal import SystemPackage

/// A pod by its name, `pod/web-0` or `default/web-0`. The daemon knows only UIDs: names are the cluster's, and kubectl, which
/// has a kubeconfig, asks the cluster.
struct PodName: Hashable {
    /// nil for that of kubectl's current context.
    var namespace: String?
    var name: String

    /// nil if `text` is not a pod's name. No name of a namespace's file has a slash.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy(Self.isLabel) else { return nil }
        namespace = parts[0] == "pod" ? nil : String(parts[0])
        name = String(parts[1])
    }

    /// As Kubernetes names objects (RFC 1123). It cannot be taken for an option.
    private static func isLabel(_ text: Substring) -> Bool {
        let isPlain = text.utf8.allSatisfy {
            (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d || $0 == 0x2e
        }
        return isPlain && !text.isEmpty && text.utf8.count <= 253 && text.first != "-" && text.first != "."
    }

    /// A reference that the daemon knows: `text` itself, unless it is a pod's name.
    static func resolving(_ text: String) async throws -> String {
        guard let pod = PodName(text) else { return text }
        return "pod:" + (try await pod.uid())
    }

    /// The command that prints the UID.
    var command: [String] {
        ["kubectl", "get", "pod", name] + (namespace.map { ["--namespace", $0] } ?? [])
            + ["--output", "jsonpath={.metadata.uid}"]
    }

    private func uid() async throws -> String {
        guard let kubectl = Console.program("kubectl") else {
            throw CommandFailure(
                "kubectl, which knows the UID of pod \(name), is not in PATH: where it is, run "
                    + "'\(command.joined(separator: " "))', and name the pod by pod:UID", .failed, kind: "no-kubectl")
        }
        let reason: String
        do {
            let result = try await Subprocess.run(
                .path(FilePath(kubectl)), arguments: Arguments(Array(command.dropFirst())),
                output: .string(limit: 1 << 16), error: .string(limit: 1 << 16))
            let uid = result.standardOutput.filter { !$0.isWhitespace }
            if result.terminationStatus.isSuccess && !uid.isEmpty { return uid }
            // What kubectl logs comes before what it says.
            reason = result.standardError.split(separator: "\n").last.map(String.init) ?? "it printed no UID"
        } catch {
            reason = "\(error)"
        }
        throw CommandFailure(
            "kubectl does not give the UID of pod \(name): \(reason)\(Self.remedyBehindSudo)", .failed,
            kind: "kubectl-failed")
    }

    /// sudo has root's home, and drops KUBECONFIG.
    private static var remedyBehindSudo: String {
        guard Console.environment("SUDO_USER") != nil, Console.environment("KUBECONFIG") == nil else { return "" }
        return " (behind sudo it has root's kubeconfig: 'sudo KUBECONFIG=FILE kmesh-bypassctl ...' names another)"
    }
}

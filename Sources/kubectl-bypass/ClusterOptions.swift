internal import ArgumentParser
internal import BypassAPI
internal import Console
internal import Kubernetes
internal import Linux

/// The cluster and the user: the options of every command, with kubectl's names.
struct ClusterOptions: ParsableArguments {
    enum Output: String, ExpressibleByArgument, CaseIterable {
        case json
    }

    @Option(
        name: .shortAndLong, help: .init("The namespace (default: that of the context).", valueName: "name"),
        completion: .names)
    var namespace: String?

    @Option(help: .init("The context of the kubeconfig (default: the current one).", valueName: "name"))
    var context: String?

    @Option(
        help: .init(
            "The kubeconfig (default: the files that KUBECONFIG names, or ~/.kube/config).", valueName: "file"),
        completion: .file())
    var kubeconfig: String?

    @Option(name: .shortAndLong, help: .init("json: for programs.", valueName: "format"))
    var output: Output?

    var isJSON: Bool { output == .json }

    func validate() throws {
        if let namespace, !namespace.isObjectName {
            throw ValidationError("'\(namespace)' is not the name of a namespace")
        }
    }

    /// Runs `body` with a client of the cluster.
    ///
    /// - Parameters:
    ///   - timeout: of each request.
    ///   - retrying: who waits where the server says when to try again.
    func withCluster(
        timeout: Duration = .seconds(30), retrying: APIClient.Retrying = .here, _ body: (Cluster) async throws -> Void
    ) async throws {
        let client: APIClient
        let own: String?
        do throws(AccessError) {
            let access = try await ClusterAccess.find(
                kubeconfig: kubeconfig, context: context, for: .user(isAtTerminal: Console.isInputTerminal),
                environment: { ProcessEnvironment[$0] })
            own = access.namespace
            client = try APIClient(access, userAgent: "kubectl-bypass/" + Product.version, timeout: timeout)
        } catch {
            throw Failure(error.description)
        }
        do {
            try await body(Cluster(client: client, namespace: namespace ?? own ?? "default", retrying: retrying))
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }
}

/// The pods, as `on`, `off` and `status` take them.
struct TargetOptions: ParsableArguments {
    @Argument(
        help: .init("Pods: POD, or deploy, sts, ds, rs or job with /NAME.", valueName: "target"),
        completion: .names, transform: { try Target($0) })
    var targets: [Target] = []

    @Option(name: [.customShort("l"), .long], help: .init("All pods with these labels: app=web.", valueName: "labels"))
    var selector: String?

    @Flag(name: [.customShort("A"), .long], help: "In all namespaces, with --selector.")
    var allNamespaces = false

    func validate() throws {
        if targets.isEmpty == (selector == nil) {
            throw ValidationError("name pods, or select them with --selector: one of the two")
        }
        if selector?.isBlank == true {
            throw ValidationError("the selector is empty, which would select all pods: give labels, such as app=web")
        }
        if allNamespaces, selector == nil {
            throw ValidationError("a name is one namespace's: --all-namespaces needs --selector")
        }
    }
}

extension String {
    var isBlank: Bool { allSatisfy(\.isWhitespace) }

    /// As Kubernetes names objects (RFC 1123): it has nothing that means something else in a URL.
    var isObjectName: Bool {
        let isPlain = utf8.allSatisfy {
            (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d || $0 == 0x2e
        }
        return isPlain && (1...253).contains(utf8.count) && first != "-" && first != "."
    }
}

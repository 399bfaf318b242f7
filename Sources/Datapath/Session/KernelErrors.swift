package import Bypass
package import Linux
internal import Netfilter
internal import SystemPackage

/// The one place where an error of the kernel's becomes one of ours.
extension BypassError {
    package init(_ error: SystemCallError) {
        self = .kernelRefused(operation: error.operation, errno: error.errno.name, detail: error.errno.advice)
    }

    package init(_ error: NamespaceError) {
        switch error {
        case .notFound(let what): self = .netnsNotFound("no network namespace: \(what)")
        case .notNetworkNamespace(let path): self = .notNetns("\(path) is not a network namespace")
        case .notFollowed(let reason): self = .notNetns(reason)
        case .hiddenFromCaller(let path):
            self = .permissionDenied(
                "only root may see what else is in a private folder: \(path)")
        case .ambiguous(let reason): self = .netnsMismatch(reason)
        case .workloadOnHost(let workload):
            self = .hostNetnsRefused(
                "every process of \(workload) is in the host's own network namespace, which is only named by host: the pod has "
                    + "hostNetwork, or its runtime (Kata Containers, gVisor) has its network in no namespace of the node, and "
                    + "then it cannot be bypassed")
        case .firstProcess(let error):
            self = .hostNetnsRefused("this is the host's own network namespace, and it cannot be opened: \(error)")
        case .systemCall(let error): self.init(error)
        }
    }
}

extension BypassError {
    package init(_ error: MatcherError) {
        switch error {
        case .systemCall(let error): self.init(error)
        case .foreignPin(let path):
            self = .kernelRefused(
                operation: "pinning \(path)", errno: Errno.fileExists.name, detail: "something else is pinned there")
        case .noBPFFileSystem(let folder): self = .unsupported("\(folder) is no longer on a BPF file system")
        case .noBTF: self = .unsupported("this kernel has no BTF")
        }
    }
}

extension KernelFailure {
    init(_ error: NetfilterError) {
        switch error {
        case .rulesetChanged: self = .rulesetChanged
        case .systemCall(let error): self = .refused(BypassError(error))
        case .refused(let operation, let errno, let detail):
            switch errno {
            case .addressFamilyNotSupported, .notSupported, .protocolNotSupported:
                self = .familyUnsupported(operation.family == .ip6 ? .ip6 : .ip)
            // What was to be deleted has gone meanwhile, or what was to be there already.
            case .noSuchFileOrDirectory where !operation.makesRule, .fileExists: self = .rulesetChanged
            case .noSuchFileOrDirectory:
                self = .refused(
                    .unsupported("the kernel cannot do \(operation): it has no xt_bpf, or no nat for nf_tables"))
            default:
                // A missing capability is reported for the batch as a whole, not for one of its messages.
                let advice = errno == .notPermitted ? "the table belongs to another process" : errno.advice
                self = .refused(
                    .kernelRefused(
                        operation: "nf_tables \(operation)", errno: errno.name, detail: detail ?? advice))
            }
        }
    }
}

extension Transaction.Operation {
    var makesRule: Bool {
        switch self {
        case .insertRule, .appendRule, .addChain, .addTable: true
        case .deleteRule, .flushChain, .deleteChain, .deleteTable: false
        }
    }
}

extension NetfilterError {
    /// Whether the kernel lacks what the mask's rules are made of, such as nft_fib_inet.
    var isAboutMask: Bool {
        guard case .refused(.appendRule(let name, _, _), .noSuchFileOrDirectory, _) = self else { return false }
        return MaskChain.allCases.contains { $0.chainName == name }
    }
}

extension Errno {
    /// The meaning of the error here, and the remedy.
    fileprivate var advice: String {
        switch self {
        case .notPermitted: "the daemon lacks a capability"
        case .permissionDenied: "the daemon may not do that"
        case .noMemory: "the kernel has no memory left"
        case .argListTooLong: "the matcher's map is full: too many namespaces are bypassed"
        case .timedOut:
            "it took more than 5 s: the namespace holds too many rules, or other programs change them all the time"
        case .noBufferSpace: "the kernel's buffer ran over: try again"
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem: "no file descriptors left"
        default: description
        }
    }
}

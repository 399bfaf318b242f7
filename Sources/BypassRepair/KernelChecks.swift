package import BypassAPI
internal import Datapath
internal import Glibc
internal import Linux

/// Checks of what the daemon needs of the machine.
package struct KernelChecks {
    /// The folder of the matcher's pins.
    private let bpffs: String

    package init(bpffs: String) {
        self.bpffs = bpffs
    }

    package func findings() -> [Finding] {
        let fileSystem = fileSystem()
        // Without a BPF file system nothing can be pinned: one cause is one finding.
        return [kernel(), typeInformation(), capabilities(), fileSystem] + (fileSystem.level == .ok ? [pins()] : [])
    }

    private func kernel() -> Finding {
        let release = String(((try? Files.text("/proc/sys/kernel/osrelease")) ?? "unknown").prefix { $0 != "\n" })
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        guard numbers.count == 2 else {
            return .warning("kernel", "its release is \(release)", "Linux 5.10 or later is needed")
        }
        let isNewEnough = numbers[0] > 5 || numbers[0] == 5 && numbers[1] >= 10
        return isNewEnough
            ? .ok("kernel", "Linux \(release)")
            : .problem("kernel", "Linux \(release)", "Linux 5.10 or later is needed")
    }

    private func typeInformation() -> Finding {
        let path = "/sys/kernel/btf/vmlinux"
        return Files.exists(path)
            ? .ok("btf", "\(path) is there")
            : .problem("btf", "\(path) is missing", "a kernel with CONFIG_DEBUG_INFO_BTF=y is needed")
    }

    private func capabilities() -> Finding {
        guard isRoot else {
            return .unknown("privileges", "not root: checks that need root are left out")
        }
        let needed: [Capabilities.Capability] = [.netAdmin, .sysAdmin, .bpf, .perfmon]
        let missing = (try? Capabilities()).map { held in needed.filter { !held.contains($0) } } ?? needed
        return missing.isEmpty
            ? .ok("privileges", "root, with the capabilities that the daemon needs")
            : .problem(
                "privileges", "root lacks \(missing.map(\.name).joined(separator: ", ")) here",
                "check the container or the service that this runs in: the daemon needs them")
    }

    private func fileSystem() -> Finding {
        (try? Files.isBPFFileSystem(bpffs)) == true
            ? .ok("bpffs", "\(bpffs) is a BPF file system")
            : .problem(
                "bpffs", "\(bpffs) is not on a BPF file system",
                "mount one: mount -t bpf bpf \(bpffs)")
    }

    private func pins() -> Finding {
        guard isRoot else { return .unknown("pins", "only root can see the pins in \(bpffs)") }
        do throws(MatcherError) {
            guard let matcher = try Matcher.attached(to: bpffs) else {
                return .warning(
                    "pins", "there is no matcher of this version in \(bpffs)",
                    "the daemon pins it when it starts, and restores it while it runs")
            }
            return .ok("pins", "\(matcher.pin) is a matcher, tag \(matcher.tagText)")
        } catch {
            guard case .foreignPin(let path) = error else {
                return .unknown("pins", "the pins in \(bpffs) cannot be read: \(error.sentence)")
            }
            return .problem(
                "pins", "\(path) is not the daemon's",
                "move it away, or have the daemon use another folder with --bpffs")
        }
    }
}

/// Only root may read the matcher's map and enter namespaces.
var isRoot: Bool { geteuid() == 0 }

extension MatcherError {
    fileprivate var sentence: String {
        switch self {
        case .foreignPin(let path): "\(path) is something else"
        case .noBPFFileSystem(let folder): "\(folder) is not on a BPF file system"
        case .noBTF: "this kernel has no BTF"
        case .systemCall(let error): "\(error)"
        }
    }
}

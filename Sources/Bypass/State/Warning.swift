package import BypassAPI

/// A fact that the user of a bypass must know.
package enum Warning: Hashable, Sendable {
    /// Nothing takes connections to a proxy here, in the direction that was asked for.
    case noInterception
    /// TCP connections that are older than the bypass stay in the proxy. How many, where that can be counted; and the command
    /// that ends them.
    case establishedConnections(Int?, command: String)
    /// TCP connections that were to be ended are not, or not at once.
    case connectionsNotEnded(String)
    /// Flows of UDP that do not take their new way, or perhaps not. How many, where that is known.
    case datagramFlows(Int?, String)
    /// TPROXY still takes inbound connections.
    case transparentProxy(String)
    /// The same, since the kernel lacks what it takes to bypass that.
    case maskUnsupported(String)
    /// TPROXY takes inbound connections, and a rule keeps conntrack, and so the bypass, from some of them.
    case untracked(String, chain: String, rule: String)
    /// Connections that leave are marked, and TPROXY takes them as they come back; or, with a reason, that is not known.
    case outboundTransparentProxy(String, unknown: String?)
    /// TPROXY takes what an interface brings that it names, and that is only forwarded.
    case forwardedTraffic(String)
    /// A nat chain that is asked before the guard still takes connections.
    case earlierRedirect(String)
    /// A nat chain still takes connections, since the guard is not whole.
    case redirect(String)
    case ruleMissing(NATChain)
    case ruleNotFirst(NATChain)
    case guardMissing(Hook)
    /// The chains that hide inbound connections from TPROXY are missing, or one of them is.
    case maskMissing
    /// The record of who wants the bypass could not be written.
    case notRecorded(String)
    /// Another program damages the bypass again and again.
    case contested(seconds: Int)
    /// Another program's rule has no effect while the bypass is on.
    case otherNat(chain: String, rule: String)
    /// Another program's rule keeps redirects from taking effect, even while the bypass is off.
    case foreignBypass(ForeignBypass)
    /// Such rules were to be removed and are not, or not all.
    case foreignNotRemoved(String)
    /// It is not known whether some rules take connections to a proxy.
    case unreadable(rules: String, reason: String)
    /// The kernel does not trace the rules of iptables-legacy.
    case untraced
    /// The number of warnings that are not shown, with those of redirects that were only counted.
    case truncated(Int)
    /// The number of steps of a packet's way that are not shown.
    case furtherSteps(Int)
    /// The number of bypasses that a list of all does not show.
    case omittedBypasses(Int)
    /// The namespace cannot be observed now, or its rules change while they are read.
    case unseen(String)
    /// A program listens on the port of HBONE, so inbound traffic may reach the proxy without a redirect; or, with a reason,
    /// that is not known.
    case hbone(unknown: String?)
    /// Something of an ended bypass is left, or may be.
    case leftover(Leftover)

    /// For programs.
    package var code: String { kind.rawValue }

    private var kind: BypassStatus.Warning.Code {
        switch self {
        case .noInterception: .noInterception
        case .establishedConnections, .connectionsNotEnded: .establishedConnections
        case .datagramFlows: .datagramFlows
        case .transparentProxy, .outboundTransparentProxy, .maskUnsupported, .untracked: .transparentProxy
        case .forwardedTraffic: .forwardedTraffic
        case .earlierRedirect: .earlierRedirect
        case .redirect: .redirect
        case .ruleMissing: .ruleMissing
        case .ruleNotFirst: .ruleNotFirst
        case .guardMissing, .maskMissing: .guardMissing
        case .notRecorded: .notRecorded
        case .contested: .contested
        case .otherNat: .otherNat
        case .foreignBypass, .foreignNotRemoved: .foreignBypass
        case .unreadable: .unreadable
        case .untraced: .untraced
        case .truncated, .furtherSteps, .omittedBypasses: .truncated
        case .unseen: .unseen
        case .hbone: .hbone
        case .leftover: .leftover
        }
    }

    /// One sentence for people.
    package var message: String {
        switch self {
        case .noInterception:
            "nothing in this namespace takes connections to a proxy in this direction: there is nothing to bypass"
        case .establishedConnections(nil, let command):
            "connections that were redirected before stay in the proxy until they end: `\(command)` ends them"
        case .establishedConnections(let count?, let command):
            "\(count) established \(count == 1 ? "connection stays" : "connections stay") in the proxy until closed: "
                + "only new connections take the bypass; `\(command)` ends \(count == 1 ? "it" : "them")"
        case .connectionsNotEnded(let reason): "not all connections could be ended at once: \(reason)"
        case .datagramFlows(nil, let reason):
            "flows of UDP may keep their way until they have been idle for some minutes: \(reason)"
        case .datagramFlows(let count?, let reason):
            "\(count) \(count == 1 ? "flow of UDP keeps its" : "flows of UDP keep their") way until idle for some "
                + "minutes: \(reason)"
        case .transparentProxy(let chain):
            "inbound connections still go to the proxy: \(chain) takes them by TPROXY at a priority other than "
                + "\(Guard.maskedPriority), which cannot be bypassed"
        case .outboundTransparentProxy(let chain, nil):
            "outbound connections still go to the proxy: \(chain) marks them for TPROXY, which cannot be bypassed"
        case .outboundTransparentProxy(let chain, let reason?):
            "outbound connections may still go to the proxy: \(chain) marks them, TPROXY takes packets on lo, and it is not known "
                + "whether a routing rule sends them there: \(reason)"
        case .forwardedTraffic(let chain):
            "\(chain) takes packets from an interface that it names by TPROXY: connections that are only forwarded, "
                + "such as a virtual machine's, still go to the proxy"
        case .maskUnsupported(let chain):
            "inbound connections still go to the proxy: \(chain) takes them by TPROXY, and this kernel lacks nft_fib_inet or "
                + "nft_ct, which the bypass needs for that; load them (modprobe), then turn the bypass on again"
        case .untracked(let transparentProxy, let chain, let rule):
            "inbound connections may still go to the proxy: \(transparentProxy) takes them by TPROXY, and those that \(rule) of "
                + "\(chain) leaves untracked (notrack) cannot be bypassed"
        case .redirect(let chain):
            "\(chain) still redirects connections to the proxy: \(Self.remedy)"
        case .earlierRedirect(let chain):
            "\(chain) redirects before the bypass is evaluated (its priority is \(Guard.priority) or lower)"
        case .ruleMissing(let natChain):
            "the bypass rule is missing from \(natChain.name): \(Self.remedy)"
        case .ruleNotFirst(let natChain):
            "the bypass rule is no longer first in \(natChain.name): \(Self.remedy)"
        case .guardMissing(let hook):
            "chain \(hook.chain) of table inet \(Guard.table) is missing or was changed: \(Self.remedy)"
        case .maskMissing:
            "the chains \(MaskChain.mask.name) and \(MaskChain.unmask.name) of table inet \(Guard.table) are missing, were changed, or hide less from TPROXY than it takes: \(Self.remedy)"
        case .notRecorded(let reason):
            "the bypass is on, but its owner and reason will be lost when the daemon restarts: \(reason)"
        case .contested(let seconds):
            "another program keeps changing these rules: the daemon repairs them again in \(seconds) s; find that program, "
                + "or turn the bypass off"
        case .otherNat(let chain, let rule):
            "another program's rule in \(chain) has no effect on connections that are bypassed: \(rule); leave them out of "
                + "the bypass"
        case .foreignBypass(let rule):
            "another program's rule, such as Kmesh's, ends a chain for every connection, so no redirect after it has an "
                + "effect even while the bypass is off: \(rule.description); `\(rule.remedy(in: "NETNS"))` removes it"
        case .foreignNotRemoved(let reason): "not all rules of other programs could be removed: \(reason)"
        case .unreadable(let rules, let reason):
            "\(rules) cannot be read, and may redirect connections to the proxy: \(reason)"
        case .untraced:
            "the kernel does not trace the rules of iptables-legacy: where a connection goes is seen, and which rule sends it "
                + "there is shown if only one can"
        case .truncated(let count):
            "and \(count) more warnings like these, which are not shown"
        case .furtherSteps(let count):
            "and \(count) more steps of the packets' paths, which are not shown"
        case .omittedBypasses(let count):
            "\(count) more bypasses are not shown, since the answer would be too large: ask for the status of each, or end "
                + "bypasses that are no longer needed"
        case .unseen(let reason):
            "the namespace cannot be read now, and this is its last known status: \(reason)"
        case .hbone(nil):
            "a program listens on port \(HBONE.port), which proxies use for HBONE: what other proxies send there reaches the "
                + "proxy without a redirect, and is not bypassed"
        case .hbone(let reason?):
            "other proxies may reach the proxy without a redirect, by HBONE on port \(HBONE.port): the namespace's "
                + "listeners cannot be read: \(reason)"
        case .leftover(let leftover): "the bypass is off, but \(leftover.message); the daemon retries the removal"
        }
    }

    private static let remedy = "it is repaired within seconds, or at once by turning the bypass on again"
}

extension BypassStatus.Warning {
    /// As it is on the wire: the one place where a warning gets there.
    package init(_ warning: Bypass.Warning) {
        self.init(code: warning.code, message: warning.message)
    }
}

extension NATChain {
    /// As `nft` and `iptables` name the chain.
    package var name: String {
        "\(family == .ip ? "ip" : "ip6") nat \(hook == .output ? "OUTPUT" : "PREROUTING")"
    }
}

extension MaskChain {
    /// Its name in the guard's table.
    package var name: String { self == .mask ? "mask" : "unmask" }
}

extension Hook {
    /// The guard's chain, and `nft`'s name of the hook.
    package var chain: String { self == .output ? "output" : "prerouting" }
}

/// The tunnel by which proxies speak to each other in an ambient mesh.
package enum HBONE {
    package static let port: UInt16 = 15008
}

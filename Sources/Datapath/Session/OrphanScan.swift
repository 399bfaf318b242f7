package import Bypass
package import Linux
internal import Netfilter
internal import SystemPackage

/// Finds what stands of a bypass in a namespace, without a matcher.
package enum OrphanScan {
    /// The chains in which rules stand that ask the matcher of a pin. Changes nothing.
    package static func ownChains(
        in namespace: borrowing NetworkNamespace, pin: String
    ) throws(BypassError) -> [String] {
        do throws(SystemCallError) {
            var socket = try namespace.withEntered { () throws(SystemCallError) in try NetlinkSocket() }
            return Observation(try Self.ruleset(by: &socket, pin), pin: pin).ownChains
        } catch {
            throw BypassError(error)
        }
    }

    private static func ruleset(by socket: inout NetlinkSocket, _ pin: String) throws(SystemCallError) -> Ruleset {
        let interest = RuleTemplates.interest(pin)
        do throws(NetfilterError) {
            for attempt in 0..<RulesetAttempts.settled {
                if attempt > 0 { Thread.sleep(for: RulesetAttempts.pause(before: attempt)) }
                do throws(NetfilterError) {
                    return try socket.ruleset(generation: socket.generation(), for: interest)
                } catch {
                    guard case .rulesetChanged = error else { throw error }
                }
            }
            return try socket.changingRuleset(for: interest)
        } catch {
            if case .systemCall(let error) = error { throw error }
            throw SystemCallError("reading the ruleset", .resourceTemporarilyUnavailable)
        }
    }
}

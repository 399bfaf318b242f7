package import Bypass
package import Linux
internal import Netfilter
internal import SystemPackage

/// Finds what stands of a bypass in a namespace, without a matcher.
package enum OrphanScan {
    package struct Found: Sendable {
        /// The chains in which rules stand that ask the matcher of a pin.
        package var ownChains: [String]
        package var foreignBypasses: [ForeignBypass]
    }

    private struct Inside: ~Copyable {
        var socket: NetlinkSocket
        let legacy: LegacyTables
    }

    /// Changes nothing.
    package static func scan(_ namespace: borrowing NetworkNamespace, pin: String) throws(BypassError) -> Found {
        do throws(SystemCallError) {
            var inside = try namespace.withEntered { () throws(SystemCallError) in
                let legacy = try LegacyTables.read()
                return Inside(socket: try NetlinkSocket(), legacy: legacy)
            }
            // A mask that is not recognized stands in a table that is.
            let observation = Observation(try Self.ruleset(by: &inside.socket, pin), pin: pin, masks: [])
                .merging(legacy: inside.legacy, entry: nil, now: 0)
            return Found(ownChains: observation.ownChains, foreignBypasses: observation.foreignBypasses)
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

public import Bypass
public import Linux
internal import Netfilter
internal import SystemPackage

/// A look at a namespace without a matcher: what of a bypass stands in it.
public enum Survey {
    /// The chains in which rules stand that ask the matcher of a pin. Changes nothing.
    public static func ownChains(
        in namespace: borrowing NetworkNamespace, pin: String
    ) throws(BypassError) -> [String] {
        do throws(SystemCallError) {
            var socket = try namespace.inside { () throws(SystemCallError) in try NetlinkSocket() }
            return Observation(try Self.ruleset(by: &socket), pin: pin).ownChains
        } catch {
            throw BypassError(error)
        }
    }

    private static func ruleset(by socket: inout NetlinkSocket) throws(SystemCallError) -> Ruleset {
        // Somebody may change it meanwhile.
        for _ in 0..<16 {
            do throws(NetfilterError) {
                return try socket.ruleset(generation: socket.generation())
            } catch {
                if case .systemCall(let error) = error { throw error }
            }
        }
        throw SystemCallError("reading the ruleset", .resourceTemporarilyUnavailable)
    }
}

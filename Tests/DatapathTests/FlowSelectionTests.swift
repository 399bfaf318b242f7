import Bypass
import BypassAPI
import Linux
import Netfilter
import Testing

@testable import Datapath

/// Which flows take another way than new ones would.
@Suite struct FlowSelectionTests {
    private static let pod = Endpoint(address("10.89.0.1"), 40000)
    private static let peer = Endpoint(address("10.89.0.2"), 53)

    private static func address(_ text: String) -> IPAddress {
        guard let address = IPAddress(text) else { fatalError("\(text) is not an address") }
        return address
    }

    private static func selection(_ before: HookSet, _ now: HookSet, _ nat: NatRules = NatRules()) -> FlowSelection {
        FlowSelection(change: FlowChange(before: .init(before), now: .init(now)), own: [pod.address], nat: nat)
    }

    private static func both(_ scope: Scope) -> BypassedConnections {
        BypassedConnections([.prerouting, .output], scope)
    }

    private static func selection(_ before: BypassedConnections, now: BypassedConnections) -> FlowSelection {
        FlowSelection(change: FlowChange(before: before, now: now), own: [pod.address], nat: NatRules())
    }

    private static func flow(
        _ transport: TrackedFlow.Transport, _ source: Endpoint, _ destination: Endpoint, to responder: Endpoint? = nil
    ) -> TrackedFlow {
        TrackedFlow(transport, from: source, to: destination, responder: responder)
    }

    @Test func whatWasSentHereIsOutbound() {
        let redirected = Self.flow(.tcp, Self.pod, Self.peer, to: Endpoint(Self.address("127.0.0.1"), 15001))
        #expect(Self.selection([], [.output]).stray(redirected) == .proxy)
        #expect(Self.selection([], [.prerouting]).stray(redirected) == nil)
        let inbound = Self.flow(.tcp, Self.peer, Self.pod, to: Endpoint(Self.pod.address, 15006))
        #expect(Self.selection([], [.prerouting]).stray(inbound) == .proxy)
        #expect(Self.selection([], [.output]).stray(inbound) == nil)
    }

    @Test func whatGoesToAnotherAddressIsNotInTheProxy() {
        let forwarded = Self.flow(.tcp, Self.peer, Self.pod, to: Endpoint(Self.address("10.0.2.2"), 80))
        #expect(Self.selection([], [.prerouting, .output]).stray(forwarded) == nil)
    }

    @Test func whatAVirtualMachineSendsIsOutbound() {
        let machine = Endpoint(Self.address("10.0.2.2"), 40000)
        let flow = Self.flow(.tcp, machine, Self.peer, to: Endpoint(Self.pod.address, 15001))
        #expect(Self.selection([], [.output]).stray(flow) == .proxy)
        #expect(Self.selection([], [.prerouting]).stray(flow) == nil)
    }

    @Test func onlyTheEndOfABypassLeavesDirectOnes() {
        let direct = Self.flow(.tcp, Self.pod, Self.peer)
        #expect(Self.selection([.output], []).stray(direct) == .direct)
        #expect(Self.selection([.output], [.output]).stray(direct) == nil)
        #expect(Self.selection([.prerouting], []).stray(direct) == nil)
        let local = Self.flow(.tcp, Self.pod, Endpoint(Self.address("::1"), 8080))
        #expect(Self.selection([.output], []).stray(local) == nil)
    }

    @Test func whatIsNotInTheScopeKeepsItsWay() throws {
        let redirected = Self.flow(.tcp, Self.pod, Self.peer, to: Endpoint(Self.address("127.0.0.1"), 15001))
        let direct = Self.flow(.tcp, Self.pod, Self.peer)
        let inbound = Self.flow(.tcp, Self.peer, Self.pod, to: Endpoint(Self.pod.address, 15006))
        let port = Scope(only: try ConnectionSet(ports: [PortRange(53)]))
        let network = Scope(except: try ConnectionSet(networks: [IPNetwork("10.89.0.2/32")]))
        let off = BypassedConnections([])
        func stray(_ flow: TrackedFlow, _ before: BypassedConnections, _ now: BypassedConnections)
            -> FlowSelection.Stray?
        {
            Self.selection(before, now: now).stray(flow)
        }
        #expect(stray(redirected, off, Self.both(port)) == .proxy)
        #expect(stray(redirected, off, Self.both(network)) == nil)
        // Of an inbound connection the port is the pod's, and the other side its source.
        #expect(stray(inbound, off, Self.both(port)) == nil)
        #expect(stray(inbound, off, Self.both(network)) == nil)
        // The scope of a bypass that stays gets smaller.
        #expect(stray(direct, Self.both(.all), Self.both(network)) == .direct)
        #expect(stray(direct, Self.both(.all), Self.both(port)) == nil)
        #expect(stray(direct, Self.both(network), off) == nil)
    }

    @Test func theEndOfAScopeEndsItAtBothHooks() throws {
        let port = Scope(only: try ConnectionSet(ports: [PortRange(53)]))
        func ended(_ before: Scope, _ now: Scope) -> HookSet {
            FlowChange(before: Self.both(before), now: Self.both(now)).ended
        }
        #expect(ended(.all, port) == [.prerouting, .output])
        #expect(ended(port, .all) == [])
        #expect(ended(port, port) == [])
    }

    @Test func anIPv4AddressInIPv6IsTheSame() {
        #expect(Self.address("::ffff:10.89.0.1").unmapped == Self.pod.address)
        #expect(Self.address("fd89::1").unmapped == Self.address("fd89::1"))
        for text in ["10.89.0.1", "255.0.0.1", "fd89::1", "::1", "fe80::ff00:1"] {
            #expect(Self.address(text).description == text)
        }
    }
}

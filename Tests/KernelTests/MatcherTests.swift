import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

@testable import Datapath

extension KernelTests {
    /// The pinned matcher, asked about packets by BPF_PROG_TEST_RUN: they come in by `eth0` of the pod. What is compiled for
    /// kernels without typed pointers is asked, too.
    @Suite struct MatcherTests {
        private struct Outcome {
            var value: Int
            var nanoseconds: Int
        }

        private static func ask(_ rig: Rig, about packet: [UInt8], times: Int = 1) async throws -> Outcome {
            let path = rig.folder.path + "/packet"
            // An Ethernet header goes first; its type is that of the packet.
            let type: [UInt8] = packet.first.map { $0 >> 4 } == 6 ? [0x86, 0xdd] : [0x08, 0x00]
            try Files.write([UInt8](repeating: 0, count: 12) + type + packet, to: path)
            let link = try await rig.sandbox.run(["ip", "-oneline", "link", "show", "dev", "eth0"], in: .pod)
            let index = try #require(UInt8(link.prefix { $0 != ":" }))
            // Of struct __sk_buff only the number of the device.
            let context = [UInt8](repeating: 0, count: 40) + [index] + [UInt8](repeating: 0, count: 151)
            try Files.write(context, to: path + "-context")
            func run(_ pin: String) async throws -> Outcome {
                let run = [
                    "bpftool", "prog", "run", "pinned", pin, "data_in", path, "ctx_in", path + "-context", "repeat",
                    "\(times)",
                ]
                let output = try await rig.sandbox.run(run, in: .pod)
                let numbers = output.split { !$0.isNumber }.compactMap { Int($0) }
                return Outcome(value: try #require(numbers.first), nanoseconds: try #require(numbers.last))
            }
            let outcome = try await run(rig.pin)
            if times == 1 { #expect(try await run(portable(rig)).value == outcome.value) }
            return outcome
        }

        /// Loads the program for kernels without typed pointers, with the daemon's map.
        ///
        /// - Returns: where it is pinned.
        private static func portable(_ rig: Rig) async throws -> String {
            let pin = rig.options.bpffs + "/portable"
            if Files.exists(pin) { return pin }
            let object = rig.folder.path + "/portable.o"
            try Files.write(MatcherObject.decode(portableMatcherImage), to: object)
            let load = ["bpftool", "prog", "load", object, pin, "map", "name", "bypassed_netns", "pinned", rig.mapPin]
            try await rig.sandbox.run(load, in: .host)
            return pin
        }

        // MARK: packets from 10.89.0.2 or fd89::2, to port 8080

        private static let ports: [UInt8] = [0xc0, 0x01, 0x1f, 0x90]

        private static func ipv4(
            _ transport: UInt8 = 6, options: Int = 0, offset: UInt8 = 0, to: [UInt8] = [10, 89, 0, 1],
            _ payload: [UInt8]? = nil
        ) -> [UInt8] {
            let header: [UInt8] = [0x45 + UInt8(options), 0, 0, 40, 0, 0, 0, offset, 64, transport, 0, 0]
            return header + [10, 89, 0, 2] + to + [UInt8](repeating: 1, count: options * 4)
                + (payload ?? ports + [UInt8](repeating: 0, count: 16))
        }

        private static func ipv6(_ next: UInt8 = 6, _ extensions: [UInt8] = [], cut: Bool = false, to: [UInt8]? = nil)
            -> [UInt8]
        {
            let address: (UInt8) -> [UInt8] = { [0xfd, 0x89] + [UInt8](repeating: 0, count: 13) + [$0] }
            return [0x60, 0, 0, 0, 0, 20, next, 64] + address(2) + (to ?? address(1)) + extensions
                + (cut ? [] : ports + [UInt8](repeating: 0, count: 16))
        }

        /// An extension header of eight bytes, and what follows it.
        private static func header(_ next: UInt8, _ rest: [UInt8] = [0, 0, 0, 0, 0, 0, 0]) -> [UInt8] { [next] + rest }

        @Test func thePortIsFoundBehindWhateverIsBeforeIt() async throws {
            try await Rig.with { rig in
                let (port, other): (JSONValue, JSONValue) = (["ports": [8080]], ["ports": ["1-8079", "8081-65535"]])
                let six = Array(repeating: Self.header(60), count: 5).flatMap(\.self) + Self.header(6)
                let found: [(String, [UInt8])] = [
                    ("TCP", Self.ipv4()), ("UDP", Self.ipv4(17)), ("options", Self.ipv4(options: 10)),
                    ("TCP over IPv6", Self.ipv6()), ("UDP over IPv6", Self.ipv6(17)),
                    ("hop-by-hop", Self.ipv6(0, Self.header(6))), ("routing", Self.ipv6(43, Self.header(6))),
                    ("a long header", Self.ipv6(60, [6, 2] + [UInt8](repeating: 0, count: 22))),
                    ("first fragment", Self.ipv6(44, Self.header(6, [0, 0, 1, 0, 0, 0, 7]))),
                    ("authentication", Self.ipv6(51, [6, 4] + [UInt8](repeating: 0, count: 22))),
                    ("six headers", Self.ipv6(60, six)),
                ]
                // In no scope, since it is not known what they are.
                let unknown: [(String, [UInt8])] = [
                    ("later fragment", Self.ipv4(offset: 1)), ("cut off", Self.ipv4(6, [1, 2])),
                    ("later fragment of IPv6", Self.ipv6(44, Self.header(6, [0, 0, 8, 0, 0, 0, 7]))),
                    ("cut off IPv6", Self.ipv6(cut: true)), ("seven headers", Self.ipv6(60, Self.header(60) + six)),
                    ("cut off header", Self.ipv6(0, [6], cut: true)),
                ]
                for (isOnly, set) in [(true, port), (false, other)] {
                    try await rig.on(only: isOnly ? set : nil, except: isOnly ? nil : set)
                    for (name, packet) in found {
                        #expect(try await Self.ask(rig, about: packet).value == 1, "\(name)")
                    }
                    for (name, packet) in unknown {
                        #expect(try await Self.ask(rig, about: packet).value == 0, "\(name)")
                    }
                }
                for (isOnly, set) in [(true, other), (false, port)] {
                    try await rig.on(only: isOnly ? set : nil, except: isOnly ? nil : set)
                    for (name, packet) in found + unknown {
                        #expect(try await Self.ask(rig, about: packet).value == 0, "\(name)")
                    }
                }
            }
        }

        @Test func whatHasNoPortsIsInNoListOfThem() async throws {
            try await Rig.with { rig in
                let icmp = [Self.ipv4(1), Self.ipv6(58)]
                for (only, except, value) in [
                    (["ports": ["1-65535"]], nil, 0), (nil, ["ports": ["1-65535"]], 1),
                    (["networks": ["10.89.0.0/24", "fd89::/64"]], nil, 1),
                    (["networks": ["10.89.0.1", "fd89::1"]], nil, 0),
                ] as [(JSONValue?, JSONValue?, Int)] {
                    try await rig.on(only: only, except: except)
                    for packet in icmp { #expect(try await Self.ask(rig, about: packet).value == value) }
                }
            }
        }

        /// What comes in for another address is forwarded: a virtual machine behind the pod has sent it.
        @Test func theOtherSideIsTheSourceOfWhatComesInAndTheTargetOfWhatIsForwarded() async throws {
            try await Rig.with { rig in
                let far = [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [9]
                let all = [UInt8(0xff), 2] + [UInt8](repeating: 0, count: 13) + [1]
                let inbound = [
                    Self.ipv4(), Self.ipv6(), Self.ipv4(17, to: [224, 0, 0, 1]),
                    Self.ipv4(17, to: [255, 255, 255, 255]),
                    Self.ipv6(17, to: all),
                ]
                let forwarded = [Self.ipv4(to: [192, 0, 2, 9]), Self.ipv6(to: far)]
                for (networks, isIn) in [(["10.89.0.2", "fd89::2"], true), (["192.0.2.9", "2001:db8::9"], false)] {
                    try await rig.on(only: ["networks": .array(networks.map { .string($0) })])
                    for packet in inbound { #expect(try await Self.ask(rig, about: packet).value == (isIn ? 1 : 0)) }
                    for packet in forwarded { #expect(try await Self.ask(rig, about: packet).value == (isIn ? 0 : 1)) }
                }
                // An address of the loopback device is one of the pod's, whichever way it is reached.
                for address in ["192.0.2.9/32", "2001:db8::9/128"] {
                    try await rig.sandbox.run(["ip", "address", "add", address, "dev", "lo"], in: .pod)
                }
                for packet in forwarded { #expect(try await Self.ask(rig, about: packet).value == 0) }
            }
        }

        /// 16 ports and 16 networks, with the last of each being the packet's: at most 150 ns more a connection. Of a
        /// forwarded packet the addresses of two devices are read to see that it is one.
        @Test func aFullScopeCostsLittle() async throws {
            try await Rig.with { rig in
                let ports = (0..<15).map { JSONValue.string("\(100 * $0 + 1)-\(100 * $0 + 50)") } + [8080]
                let far = [0xfd, 0x99] + [UInt8](repeating: 0, count: 13) + [9]
                let cases: [(networks: String, last: String, packet: [UInt8])] = [
                    ("10.%.0.0/16", "89", Self.ipv4()), ("fd%::/32", "89", Self.ipv6()),
                    ("10.%.0.0/16", "99", Self.ipv4(to: [10, 99, 0, 9])), ("fd%::/32", "99", Self.ipv6(to: far)),
                ]
                for (networks, last, packet) in cases {
                    let networks = (10..<26).map { $0 == 25 ? last : "\($0)" }.map { number in
                        JSONValue.string(networks.split(separator: "%").joined(separator: number))
                    }
                    try await rig.on()
                    let plain = try await Self.cost(rig, packet)
                    try await rig.on(only: ["ports": .array(ports), "networks": .array(networks)])
                    let scoped = try await Self.cost(rig, packet)
                    #expect(scoped - plain <= 150, "\(scoped) and \(plain) ns for \(last)")
                }
            }
        }

        /// The daemon answers no client before the matcher is loaded. What the kernel's verifier follows at that time is the
        /// measure: 224,498 instructions took 210 ms, 11,859 took 8, 5,242 take 4.
        @Test func theVerifierFollowsFewInstructions() async throws {
            try await Rig.with { rig in
                let folder = "/proc/\(try rig.daemon.pid)/fdinfo"
                let programs = try Files.entries(in: folder).compactMap { entry in
                    let lines = try? Files.text("\(folder)/\(entry.name)").split(separator: "\n")
                    let line = lines?.first { $0.hasPrefix("verified_insns:") }
                    return line.flatMap { Int($0.drop { !$0.isNumber }) }
                }
                let most = try #require(programs.max(), "no program among the daemon's descriptors")
                #expect(most > 0 && most <= 8000, "\(most) instructions")
            }
        }

        /// The shortest of some short runs: other programs share the processor.
        private static func cost(_ rig: Rig, _ packet: [UInt8]) async throws -> Int {
            var shortest = Int.max
            for _ in 0..<20 {
                let outcome = try await ask(rig, about: packet, times: 5000)
                #expect(outcome.value == 1)
                shortest = min(shortest, outcome.nanoseconds)
            }
            return shortest
        }
    }
}

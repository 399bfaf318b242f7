import BypassAPI
import JSONRPC
import StrictJSON
import Testing

@Suite struct ScopeTests {
    private func set(_ text: String) throws -> ConnectionSet { try JSONDecoding.decode(from: try parse(text)) }

    private func address(_ text: String) throws -> InternetAddress { try #require(InternetAddress(text)) }

    // MARK: the wire

    @Test(
        "A set is written in one way, and read back as the same",
        arguments: [
            (#"{"ports":[8080,"9000-9100"],"networks":["10.0.0.0/8","fd00::/8"]}"#, nil),
            (#"{"networks":["10.0.0.0/8"]}"#, nil), (#"{"ports":[1,65535]}"#, nil),
            (#"{"ports":["1-65535"],"networks":null}"#, #"{"ports":["1-65535"]}"#),
            (#"{"ports":["9000-9100",8080,8080,"8081-8081"]}"#, #"{"ports":[8080,8081,"9000-9100"]}"#),
            (
                #"{"networks":["FD00:0:0::/8","10.0.0.1","fe80::1","0.0.0.0/0","::/0","10.0.0.0/8"]}"#,
                #"{"networks":["0.0.0.0/0","10.0.0.0/8","10.0.0.1/32","::/0","fd00::/8","fe80::1/128"]}"#
            ),
            (#"{"networks":["1:0:0:2:0:0:0:3","1:0:2::4"]}"#, #"{"networks":["1:0:0:2::3/128","1:0:2::4/128"]}"#),
        ] as [(String, String?)])
    func wire(_ text: String, _ canonical: String?) throws {
        let set = try set(text)
        #expect(String(decoding: JSONText.bytes(of: set), as: UTF8.self) == canonical ?? text)
        #expect(try self.set(JSONEncoding.text(of: set)) == set)
    }

    @Test(
        "A value that is not a set of connections is refused, in words that say where and why",
        arguments: [
            ("{}", "must have ports or networks"), ("[]", "must be an object"),
            (#"{"port":[1]}"#, "port: is not known"),
            (#"{"ports":[]}"#, "ports: is empty: leave it out, or put something in"),
            (#"{"ports":[0]}"#, "ports[0]: must be a port from 1 to 65535, or a range such as 9000-9100"),
            (#"{"ports":[1,65536]}"#, "ports[1]: must be a port from 1 to 65535, or a range such as 9000-9100"),
            (#"{"ports":[1.5]}"#, "ports[0]: must be a port from 1 to 65535, or a range such as 9000-9100"),
            (#"{"ports":["0-1"]}"#, "ports[0]: must be a port from 1 to 65535, or a range such as 9000-9100"),
            (#"{"ports":["01-2"]}"#, "ports[0]: must be a port from 1 to 65535, or a range such as 9000-9100"),
            (#"{"ports":["1-2-3"]}"#, "ports[0]: must be a port from 1 to 65535, or a range such as 9000-9100"),
            (#"{"ports":["-1"]}"#, "ports[0]: must be a port from 1 to 65535, or a range such as 9000-9100"),
            (#"{"ports":["http"]}"#, "ports[0]: must be a port from 1 to 65535, or a range such as 9000-9100"),
            (#"{"ports":["8080"]}"#, "ports[0]: must be a number, since it is one port"),
            (#"{"ports":["9100-9000"]}"#, "ports[0]: is empty: the lower port of a range comes first"),
            (#"{"ports":8080}"#, "ports: must be an array"),
            (#"{"networks":[]}"#, "networks: is empty: leave it out, or put something in"),
            (#"{"networks":[10]}"#, "networks[0]: must be a string"),
            (
                #"{"networks":["10.1.2.3/8"]}"#,
                "networks[0]: has host bits after its prefix length: 10.0.0.0/8 is the network that contains it"
            ),
            (
                #"{"networks":["fd00::1/64"]}"#,
                "networks[0]: has host bits after its prefix length: fd00::/64 is the network that contains it"
            ),
            (#"{"networks":["10.0.0.0/33"]}"#, "networks[0]: needs a length from 0 to 32 after the slash"),
            (#"{"networks":["::/129"]}"#, "networks[0]: needs a length from 0 to 128 after the slash"),
            (#"{"networks":["10.0.0.0/08"]}"#, "networks[0]: needs a length from 0 to 32 after the slash"),
            (#"{"networks":["10.0.0.0/"]}"#, "networks[0]: needs a length from 0 to 32 after the slash"),
            (#"{"networks":["::ffff:10.0.0.0/104"]}"#, "networks[0]: stands for IPv4 addresses: write them as such"),
        ])
    func refusals(_ text: String, _ reason: String) throws {
        #expect(throws: JSONDecodingError.self) { try set(text) }
        do { _ = try set(text) } catch { #expect("\(error)" == reason) }
    }

    @Test(
        "A text that is not an address is not a network",
        arguments: [
            "", "/8", "10/8", "10.0.0/8", "10.0.0.0.0/8", "010.0.0.0/8", "256.0.0.0/8", "10.0.0.0/8/8", " 10.0.0.0/8",
            "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "1::2::3", ":::", "1:::2", "12345::", "g::",
            ":1::", "fe80::1%eth0", "::1.2.3", "1.2.3.4::", "+1::", "١.0.0.0",
        ])
    func noNetwork(_ text: String) {
        #expect(throws: IPNetwork.Malformed.self) { try IPNetwork(text) }
    }

    @Test("Sixteen of each are taken, and more exceed a limit that has a name")
    func limits() throws {
        func parameters(ports: Int, networks: Int) throws -> ConnectionSet? {
            let set: JSONValue = [
                "ports": .array((1...max(ports, 1)).map { .number(JSONNumber($0)) }),
                "networks": .array((1...max(networks, 1)).map { .string("10.0.0.\($0)") }),
            ]
            let params = Params.named(["netns": "web", "state": "on", "except": set])
            return try Request(id: nil, method: "bypass", params: params).parameters(of: BypassMethod.self).except
        }
        #expect(try parameters(ports: 16, networks: 16)?.networks.count == 16)
        for (ports, networks, limit) in [(17, 1, "scope-ports"), (16, 17, "scope-networks")] {
            let error = #expect(throws: ErrorObject.self) { try parameters(ports: ports, networks: networks) }
            #expect(error?.code == ErrorCode.limitExceeded.rawValue)
            #expect(error?.data == ["kind": "limit-exceeded", "limit": .string(limit)])
        }
    }

    // MARK: what is in it

    @Test(
        "A connection is in a scope if it is in only and not in except",
        arguments: [
            (8080, "10.1.2.3", true), (9000, "10.0.0.0", true), (9100, "10.255.255.255", true),
            (9101, "10.1.2.3", false),
            (8080, "11.0.0.0", false), (8080, "9.255.255.255", false), (9050, "10.1.2.3", false),
            (9050, "10.9.9.9", true),
            (8080, "fd12::1", true), (8080, "fe00::", false), (8080, "::ffff:10.1.2.3", false),
            (nil, "10.1.2.3", false),
        ] as [(UInt16?, String, Bool)])
    func contains(_ port: UInt16?, _ remote: String, _ isIn: Bool) throws {
        let scope = Scope(
            only: try set(#"{"ports":[8080,"9000-9100"],"networks":["10.0.0.0/8","fd00::/8"]}"#),
            except: try set(#"{"ports":[9050],"networks":["10.1.0.0/16"]}"#))
        #expect(scope.contains(port: port, remote: try address(remote)) == isIn)
        #expect(Scope.all.contains(port: port, remote: try address(remote)))
    }

    @Test("The networks of all addresses are of one family, and a port list leaves out what has no port")
    func edges() throws {
        let all = try set(#"{"networks":["::/0"]}"#)
        #expect(all.contains(port: nil, remote: try address("ffff::1")))
        #expect(!all.contains(port: 1, remote: try address("10.0.0.1")))
        let long = try set(#"{"networks":["1:2:3:4:8000::/65"]}"#)
        #expect(long.contains(port: 1, remote: try address("1:2:3:4:ffff::")))
        #expect(!long.contains(port: 1, remote: try address("1:2:3:4:7fff::")))
        #expect(Scope(except: try set(#"{"ports":[53]}"#)).contains(port: nil, remote: try address("10.0.0.1")))
        #expect(InternetAddress(bytes: [10, 0, 0, 1]) == InternetAddress("10.0.0.1"))
        #expect(InternetAddress(bytes: [0xfd] + [UInt8](repeating: 0, count: 14) + [7]) == InternetAddress("fd00::7"))
        #expect(InternetAddress(bytes: [1, 2]) == nil)
    }

    // MARK: scopes within each other

    private static let scopes: [(only: String?, except: String?)] = [
        (nil, nil), (#"{"ports":["1-100"]}"#, nil), (#"{"ports":["1-50","51-100"]}"#, nil), (#"{"ports":[50]}"#, nil),
        (nil, #"{"ports":[50]}"#), (nil, #"{"ports":[50],"networks":["10.0.0.0/8"]}"#),
        (#"{"ports":["1-100"]}"#, #"{"ports":["51-100"]}"#), (#"{"ports":["1-50"]}"#, nil),
        (#"{"networks":["10.0.0.0/8"]}"#, nil), (#"{"networks":["10.0.0.0/9","10.128.0.0/9"]}"#, nil),
        (#"{"networks":["0.0.0.0/0","::/0"]}"#, nil), (nil, #"{"networks":["::/0"]}"#),
        (#"{"ports":[50],"networks":["10.1.0.0/16"]}"#, nil), (#"{"ports":["1-65535"]}"#, nil),
        (nil, #"{"networks":["255.255.255.255","ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]}"#),
    ]

    @Test("A scope is in another exactly if each of its connections is", arguments: scopes.indices)
    func subsets(_ index: Int) throws {
        func scope(_ index: Int) throws -> Scope {
            Scope(only: try Self.scopes[index].only.map(set), except: try Self.scopes[index].except.map(set))
        }
        let remotes = try [
            "0.0.0.0", "10.0.0.0", "10.1.0.0", "10.128.0.0", "11.0.0.0", "255.255.255.254", "255.255.255.255", "::",
            "fd00::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ].map(address)
        let ports: [UInt16?] = [nil, 0, 1, 49, 50, 51, 100, 101, 65535]
        for other in Self.scopes.indices {
            let (one, two) = (try scope(index), try scope(other))
            let isIn = ports.allSatisfy { port in
                remotes.allSatisfy {
                    !one.contains(port: port, remote: $0) || two.contains(port: port, remote: $0)
                }
            }
            #expect(one.isSubset(of: two) == isIn, "\(one) in \(two)")
        }
    }

    @Test("The connections of a control group are in what is for all, and not the other way round")
    func controlGroup() throws {
        let (port, group) = (Scope(only: try set(#"{"ports":[80]}"#)), Scope(cgroup: 4711))
        let both = Scope(only: port.only, cgroup: 4711)
        for (one, other) in [(group, .all), (both, group), (both, port), (both, both), (.nothing, group)]
            as [(Scope, _)]
        {
            #expect(one.isSubset(of: other), "\(one) in \(other)")
        }
        for (one, other) in [(.all, group), (group, both), (group, port), (port, group), (group, Scope(cgroup: 1))]
            as [(Scope, _)]
        {
            #expect(!one.isSubset(of: other), "\(one) in \(other)")
        }
        #expect(!both.contains(port: 80, remote: try address("10.0.0.1")), "the sender is not known")
        #expect("\(group)" == "only control group 4711" && "\(both)" == "only control group 4711, only port 80")
    }

    @Test("People read a scope as a clause")
    func words() throws {
        let scope = Scope(
            only: try set(#"{"ports":[8080,"9000-9100"],"networks":["10.0.0.0/8"]}"#),
            except: try set(#"{"ports":[22]}"#))
        #expect("\(scope)" == "only ports 8080, 9000-9100 in network 10.0.0.0/8, except port 22")
        #expect("\(Scope.all)" == "all connections")
        #expect("\(Scope(except: try set(#"{"ports":["1-2"]}"#)))" == "all but ports 1-2")
    }
}

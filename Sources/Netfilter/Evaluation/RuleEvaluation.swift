/// The outcome of a packet at a rule.
enum RuleOutcome: Hashable {
    /// A condition is not met.
    case passes
    /// The rule matches, and decides nothing.
    case goesOn
    case decides(Verdict)
}

/// One rule at one packet.
struct RuleEvaluation {
    let context: PacketContext
    let sets: [String: FilterSet?]
    var packet: Packet
    var registers = Registers()
    /// Whether all conditions so far are known to be met.
    private(set) var isCertain = true
    /// The kernel has said that the rule matches.
    private let isMatch: Bool

    init(_ packet: Packet, _ context: PacketContext, sets: [String: FilterSet?], isMatch: Bool = false) {
        self.packet = packet
        self.context = context
        self.sets = sets
        self.isMatch = isMatch
    }

    /// What the rule does if all its conditions that are not known are met; `isCertain` says whether there are any.
    mutating func evaluate(_ rule: FilterRule) -> RuleOutcome {
        for part in rule.parts {
            let isMet = condition(part)
            if !isMatch {
                if isMet == false { return .passes }
                if isMet == nil { isCertain = false }
            }
            if let verdict = verdict(of: part) { return .decides(verdict) }
        }
        return .goesOn
    }

    /// Executes a part. false if it ends the rule, nil if that is not known.
    private mutating func condition(_ part: RulePart) -> Bool? {
        switch part {
        case .loadHeader(let header, let offset, let count, let target):
            registers.write(bytes(of: header, offset, count), at: target)
        case .loadMeta(let key, let target): return loadMeta(key, into: target)
        case .loadConntrack(let key, let target): loadConntrack(key, into: target)
        case .loadAddressType(let ofDestination, let target):
            let type = context.type(of: ofDestination ? packet.destination : Array(packet.source))
            write(type, at: target)
        case .loadUnknown(let target): registers.writeUnknown(at: target)
        case .loadConstant(let value, let target): registers.write(value, at: target)
        case .compare(let source, let comparison, let value):
            return registers.test(value.count, at: source) { comparison.holds($0, value) }
        case .isInRange(let source, let from, let to, let inverted):
            return registers.test(from.count, at: source) { value in
                all([
                    RulePart.Comparison.greaterOrEqual.holds(value, from),
                    RulePart.Comparison.lessOrEqual.holds(value, to),
                ]).map { $0 != inverted }
            }
        case .bitwise(let source, let target, let mask, let xor):
            let value = registers.read(mask.count, at: source)
            registers.write(
                zip(value, zip(mask, xor)).map { byte, bits in
                    bits.0 == 0 ? bits.1 : byte.map { $0 & bits.0 ^ bits.1 }
                }, at: target)
        case .lookUp(let name, let source, let target, let isVerdict, let inverted):
            return lookUp(name, source, target, isVerdict, inverted)
        case .writeHeader(let header, let offset, let count, let source):
            writeHeader(header, offset, registers.read(count, at: source))
        case .setMark(let source): packet.mark = isCertain ? number(at: source) : nil
        case .setConnectionMark(let source): packet.connectionMark = isCertain ? number(at: source) : nil
        case .match(let name, let revision, let bytes):
            return matches(name, revision: revision, bytes, packet, context)
        case .legacyHeader(let bytes): return legacyHeader(bytes)
        case .target(let name, let revision, let bytes): change(name, revision, Information(bytes))
        case .exceptFromConntrack: packet.isExcepted = isCertain ? true : packet.isExcepted == true ? true : nil
        // What an expression does that is not understood is not known; whether the rule goes on, neither.
        case .unknown, .openCondition: return nil
        case .verdict, .destinationNat, .redirect, .transparentProxy, .nothing: break
        }
        return true
    }

    private mutating func verdict(of part: RulePart) -> Verdict? {
        switch part {
        case .verdict(let verdict): return verdict
        case .lookUp(let name, let source, _, true, _):
            guard let set = sets[name] ?? nil, let element = try? set.find(registers.read(set.keySize, at: source))
            else {
                return .unknown("a verdict that map \(name) has")
            }
            return element.verdict ?? .unknown("a verdict that map \(name) has")
        case .destinationNat(let address, let port):
            return destinationNat(
                to: address.map { registers.read(packet.destination.count, at: $0) }, port, isRedirect: false)
        case .redirect(let port): return destinationNat(to: nil, port, isRedirect: true)
        case .transparentProxy(let port): return .transparentProxy(port: port.map(self.port) ?? packet.destinationPort)
        case .target(let name, let revision, let bytes):
            return targetVerdict(name, revision: revision, Information(bytes), packet)
        case .unknown(let name): return .unknown("expression \(name)")
        default: return nil
        }
    }

    private func destinationNat(to address: [UInt8?]?, _ register: Int?, isRedirect: Bool) -> Verdict {
        let port = register.flatMap(port)
        if register != nil && port == nil { return .unknown("destination nat to a port that is not known") }
        return .destinationNat(address: address, port: port, isRedirect: isRedirect)
    }

    /// A port in network byte order.
    private func port(at offset: Int) -> UInt16? {
        let bytes = registers.read(2, at: offset).compactMap(\.self)
        return bytes.count == 2 ? UInt16(bytes[0]) << 8 | UInt16(bytes[1]) : nil
    }

    /// A number in the machine's own byte order.
    private func number(at offset: Int) -> UInt32? {
        let bytes = registers.read(4, at: offset).compactMap(\.self)
        return bytes.count == 4 ? Information(bytes).host(0) : nil
    }

    mutating func write(_ number: UInt32?, at offset: Int) {
        guard let number else { return registers.write(Array(repeating: nil, count: 4), at: offset) }
        registers.write(unsafe withUnsafeBytes(of: number) { unsafe Array($0) }, at: offset)
    }

    // MARK: headers

    private func bytes(of header: RulePart.Header, _ offset: Int, _ count: Int) -> [UInt8?] {
        let bytes = header == .network ? packet.network : packet.segment
        return (offset..<offset + count).map { $0 < bytes.count ? bytes[$0] : nil }
    }

    private mutating func writeHeader(_ header: RulePart.Header, _ offset: Int, _ value: [UInt8?]) {
        for (index, byte) in value.enumerated() {
            let byte = isCertain ? byte : nil
            if header == .network, offset + index < packet.network.count {
                packet.network[offset + index] = byte
            } else if header == .transport, offset + index < packet.segment.count {
                packet.segment[offset + index] = byte
            }
        }
    }

    /// Addresses, interfaces and protocol of a rule of iptables-legacy: struct ipt_ip, struct ip6t_ip6.
    private func legacyHeader(_ bytes: [UInt8]) -> Bool? {
        let information = Information(bytes)
        let size = packet.destination.count
        let names = 4 * size
        let inverted = information.byte(names + 64 + (size == 4 ? 3 : 4))
        func masked(_ address: [UInt8?], _ offset: Int, _ bit: UInt8) -> Bool? {
            let mask = information.slice(offset + 2 * size, size)
            let value = zip(address, mask).map { byte, mask in mask == 0 ? 0 : byte.map { $0 & mask } }
            let comparison: RulePart.Comparison = inverted & bit != 0 ? .notEqual : .equal
            return comparison.holds(value, information.slice(offset, size))
        }
        func name(_ interfaces: [Packet.Interface]?, _ offset: Int, _ bit: UInt8) -> Bool? {
            let mask = information.slice(names + 32 + offset, 16)
            if mask.allSatisfy({ $0 == 0 }) { return true }
            let wanted = information.slice(names + offset, 16)
            guard let interfaces else { return nil }
            let names = interfaces.isEmpty ? [""] : interfaces.map(\.name)
            let answers = Set(
                names.map { text in
                    let name = Self.padded(text)
                    return name.indices.allSatisfy { (name[$0] ^ wanted[$0]) & mask[$0] == 0 } != (inverted & bit != 0)
                })
            return answers.count == 1 ? answers.first : nil
        }
        let protocolNumber = UInt8(truncatingIfNeeded: information.short(names + 64))
        let transport: Bool? =
            protocolNumber == 0 ? true : packet.namedTransport.map { ($0 == protocolNumber) != (inverted & 0x40 != 0) }
        return all([
            masked(Array(packet.source), 0, 0x08), masked(packet.destination, size, 0x10),
            name(packet.input, 0, 0x01), name(packet.output, 16, 0x02), transport,
        ])
    }

    static func padded(_ name: String) -> [UInt8] {
        let bytes = Array(name.utf8.prefix(16))
        return bytes + Array(repeating: 0, count: 16 - bytes.count)
    }
}

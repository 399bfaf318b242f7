internal import CLibnftnl
internal import Glibc
internal import Linux

extension NatRule {
    /// Reads the expressions of a rule of nf_tables.
    init(_ expressions: Attributes, of family: Family) {
        self.init(family)
        var registers: [UInt32: Content] = [:]
        for element in expressions {
            guard let name = element.first(NFTA_EXPR_NAME.rawValue), let data = element.first(NFTA_EXPR_DATA.rawValue)
            else { continue }
            if name.isString("meta") {
                registers[data.number(NFTA_META_DREG.rawValue)] = Content(metaKey: data.number(NFTA_META_KEY.rawValue))
            } else if name.isString("payload") {
                registers[data.number(NFTA_PAYLOAD_DREG.rawValue)] = Content(payload: data)
            } else if name.isString("immediate") {
                readImmediate(data, &registers)
            } else if name.isString("cmp") {
                compare(
                    registers[data.number(NFTA_CMP_SREG.rawValue)], data.number(NFTA_CMP_OP.rawValue),
                    data.first(NFTA_CMP_DATA.rawValue)?.first(NFTA_DATA_VALUE.rawValue))
            } else if name.isString("range") {
                compare(registers[data.number(NFTA_RANGE_SREG.rawValue)], range: data)
            } else if name.isString("match") {
                readMatch(data)
            } else if name.isString("redir") {
                target = Target(port: registers[data.number(NFTA_REDIR_REG_PROTO_MIN.rawValue)]?.port)
            } else if name.isString("nat") {
                target = Target(
                    address: registers[data.number(NFTA_NAT_REG_ADDR_MIN.rawValue)]?.address(
                        unlessOther: registers[data.number(NFTA_NAT_REG_ADDR_MAX.rawValue)]),
                    port: registers[data.number(NFTA_NAT_REG_PROTO_MIN.rawValue)]?.port)
            } else if name.isString("target") {
                readTarget(data)
            } else if name.isString("bitwise") {
                registers[data.number(NFTA_BITWISE_DREG.rawValue)] =
                    registers[data.number(NFTA_BITWISE_SREG.rawValue)]?.masked(by: data)
            } else if !name.isString("counter") {
                // It may have written to any register.
                registers = [:]
            }
        }
    }

    /// The content of a register.
    private enum Content {
        case transport, destinationPort
        case destination(mask: [UInt8])
        case value([UInt8])
        case other

        init(metaKey key: UInt32) {
            switch key {
            case NFT_META_L4PROTO.rawValue: self = .transport
            default: self = .other
            }
        }

        init(payload: Attribute) {
            let base = payload.number(NFTA_PAYLOAD_BASE.rawValue)
            let (offset, length) = (
                payload.number(NFTA_PAYLOAD_OFFSET.rawValue), payload.number(NFTA_PAYLOAD_LEN.rawValue)
            )
            // Of a network that ends between two bytes, only those before are loaded.
            switch (base, offset, length) {
            case (NFT_PAYLOAD_NETWORK_HEADER.rawValue, 16, 1...4): self = .destination(mask: Self.mask(length, of: 4))
            case (NFT_PAYLOAD_NETWORK_HEADER.rawValue, 24, 1...16): self = .destination(mask: Self.mask(length, of: 16))
            case (NFT_PAYLOAD_TRANSPORT_HEADER.rawValue, 2, 2): self = .destinationPort
            default: self = .other
            }
        }

        private static func mask(_ length: UInt32, of size: Int) -> [UInt8] {
            (0..<size).map { $0 < Int(length) ? 255 : 0 }
        }

        /// After `bitwise` with a mask alone.
        func masked(by data: Attribute) -> Content {
            guard case .destination(let mask) = self,
                let bits = data.first(NFTA_BITWISE_MASK.rawValue)?.first(NFTA_DATA_VALUE.rawValue)?.bytes,
                data.first(NFTA_BITWISE_XOR.rawValue)?.first(NFTA_DATA_VALUE.rawValue)?.bytes.allSatisfy({ $0 == 0 })
                    != false, bits.count <= mask.count
            else { return .other }
            return .destination(mask: mask.indices.map { $0 < bits.count ? mask[$0] & bits[$0] : 0 })
        }

        var port: UInt16? {
            guard case .value(let bytes) = self, bytes.count >= 2 else { return nil }
            return UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        }

        /// nil for a range of addresses.
        func address(unlessOther last: Content?) -> IPAddress? {
            guard case .value(let bytes) = self else { return nil }
            if case .value(let other)? = last, other != bytes { return nil }
            return IPAddress(bytes: bytes)
        }
    }

    private mutating func readImmediate(_ data: Attribute, _ registers: inout [UInt32: Content]) {
        let content = data.first(NFTA_IMMEDIATE_DATA.rawValue)
        if let value = content?.first(NFTA_DATA_VALUE.rawValue) {
            registers[data.number(NFTA_IMMEDIATE_DREG.rawValue)] = .value(value.bytes)
        }
    }

    private mutating func compare(_ content: Content?, _ operation: UInt32, _ value: Attribute?) {
        guard let value else { return }
        switch (content, operation) {
        case (.transport, NFT_CMP_EQ.rawValue): transport = value.uint8
        case (.destination(let mask), NFT_CMP_EQ.rawValue):
            let bytes = value.bytes
            network = Network(value: mask.indices.map { $0 < bytes.count ? bytes[$0] & mask[$0] : 0 }, mask: mask)
        case (.destinationPort, NFT_CMP_EQ.rawValue): ports = value.uint16.map { $0...$0 }
        case (.destinationPort, NFT_CMP_GTE.rawValue): ports = value.uint16.map { $0...UInt16.max }
        case (.destinationPort, NFT_CMP_LTE.rawValue):
            ports = value.uint16.flatMap { [low = ports?.lowerBound ?? 0] last in low <= last ? low...last : nil }
        default: break
        }
    }

    private mutating func compare(_ content: Content?, range: Attribute) {
        guard case .destinationPort = content, range.number(NFTA_RANGE_OP.rawValue) == NFT_RANGE_EQ.rawValue,
            let low = range.first(NFTA_RANGE_FROM_DATA.rawValue)?.first(NFTA_DATA_VALUE.rawValue)?.uint16,
            let high = range.first(NFTA_RANGE_TO_DATA.rawValue)?.first(NFTA_DATA_VALUE.rawValue)?.uint16, low <= high
        else { return }
        ports = low...high
    }

    private mutating func readMatch(_ data: Attribute) {
        guard let name = data.first(NFTA_MATCH_NAME.rawValue), let information = data.first(NFTA_MATCH_INFO.rawValue)
        else { return }
        readMatch(name.string, information.bytes)
    }

    private mutating func readTarget(_ data: Attribute) {
        guard let name = data.first(NFTA_TARGET_NAME.rawValue), let information = data.first(NFTA_TARGET_INFO.rawValue)
        else { return }
        readTarget(
            name.string, revision: UInt8(truncatingIfNeeded: data.number(NFTA_TARGET_REV.rawValue)), information.bytes)
    }
}

// MARK: xtables

extension NatRule {
    /// A match of iptables', by either backend.
    mutating func readMatch(_ name: String, _ information: [UInt8]) {
        switch name {
        case "udp" where information.count >= 9, "tcp" where information.count >= 12:
            // Four ports in the machine's own byte order (struct xt_udp, xt_tcp); the last byte inverts.
            let low: UInt16 = information.number(at: 4)
            let high: UInt16 = information.number(at: 6)
            let inverted = information[name == "udp" ? 8 : 11]
            if inverted & 2 == 0, low <= high { ports = low...high }
        default: break
        }
    }

    /// A target of iptables', by either backend.
    mutating func readTarget(_ name: String, revision: UInt8, _ information: [UInt8]) {
        switch name {
        case "REDIRECT": target = Target()
        case "DNAT":
            target = Target()
            // struct nf_nat_range2 (revision 2) and nf_nat_range (1): flags, two addresses, two ports.
            if revision > 0, information.count >= 40 {
                readRange(information, first: 4, last: 20, port: 36)
            } else if information.count >= 20 {
                // struct nf_nat_ipv4_multi_range_compat: a number, then the same with IPv4 addresses alone.
                readRange(Array(information[4...]), first: 4, last: 8, port: 12)
            }
        default: break
        }
    }

    private mutating func readRange(_ range: [UInt8], first: Int, last: Int, port: Int) {
        let flags: UInt32 = range.number(at: 0)
        let size = last - first
        let (low, high) = (range[first..<first + size], range[last..<last + size])
        // NF_NAT_RANGE_MAP_IPS
        if flags & 1 != 0, low.elementsEqual(high) {
            // Of IPv4 addresses, too, revision 2 has 16 bytes, of which the first four count.
            let isIPv4 = low.dropFirst(4).allSatisfy { $0 == 0 } && family == .ip
            target?.address = IPAddress(bytes: isIPv4 ? low.prefix(4) : low)
        }
        // NF_NAT_RANGE_PROTO_SPECIFIED
        if flags & 2 != 0 { target?.port = UInt16(bigEndian: range.number(at: port)) }
    }
}

extension [UInt8] {
    fileprivate func number<Integer: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Integer {
        unsafe withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: Integer.self) }
    }
}

extension Attribute {
    fileprivate func number(_ type: UInt32) -> UInt32 { first(type)?.uint32 ?? UInt32.max }
}

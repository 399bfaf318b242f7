internal import CLibnftnl
internal import Glibc
package import Linux
package import SystemPackage

/// One end of a connection.
package struct Endpoint: Hashable, Sendable {
    package var address: IPAddress
    package var port: UInt16

    package init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }
}

extension Endpoint: CustomStringConvertible {
    /// Such as `192.0.2.1:80` or `[2001:db8::1]:80`.
    package var description: String {
        address.bytes.count == 4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

/// A TCP connection, or a flow of UDP, as conntrack knows it.
package struct TrackedFlow: Hashable, Sendable {
    package enum Transport: UInt8, Hashable, Sendable {
        case tcp = 6
        case udp = 17
    }

    package var transport: Transport
    /// As the first packet had them.
    package var source: Endpoint
    package var destination: Endpoint
    /// The source of the answers: another than `destination` if nat has changed that.
    package var responder: Endpoint
    /// Whether TCP's handshake is done, and neither end has closed the connection.
    package var isEstablished = false
    /// Whether an end has reset TCP's connection. The entry stays for ten seconds, and so does its mapping: if it was the server,
    /// a new connection between the same ends takes that.
    package var isClosed = false
    /// Only together do these name an entry: another one may have the same ends by now, and another zone the same.
    var id: UInt32?
    var zone: UInt16?

    package init(_ transport: Transport, from source: Endpoint, to destination: Endpoint, responder: Endpoint? = nil) {
        self.transport = transport
        self.source = source
        self.destination = destination
        self.responder = responder ?? destination
    }

    package var isRedirected: Bool { responder != destination }
}

extension NetlinkSocket {
    /// The flows of the namespace that `isWanted` selects. The kernel walks through all that it knows.
    ///
    /// - Parameter maxFlows: so many are kept.
    /// - Returns: `isComplete` says whether these are all wanted ones.
    package mutating func flows(
        keeping maxFlows: Int = 16384, where isWanted: (TrackedFlow) -> Bool
    ) throws(NetfilterError) -> (flows: [TrackedFlow], isComplete: Bool) {
        var (flows, isComplete): ([TrackedFlow], Bool) = ([], true)
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(MessageType.getConnection, family: 0, flags: .dump, sequence: sequence)
        let isConsistent = try dump(request, sequence, for: "reading connections") { message in
            guard let flow = message.trackedFlow, isWanted(flow) else { return }
            if flows.count < maxFlows { flows.append(flow) } else { isComplete = false }
        }
        return (flows, isComplete && isConsistent)
    }

    /// The number of flows. The kernel has it at hand.
    package mutating func countOfFlows() throws(NetfilterError) -> Int? {
        let operation: StaticString = "counting connections"
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(MessageType.getConntrackStatistics, family: 0, sequence: sequence)
        var count: Int?
        try exchange(request, for: operation) { (message) throws(NetfilterError) -> Progress in
            guard message.sequence == sequence else { return .more }
            try message.check(operation)
            for attribute in message.attributes where attribute.type == CInt(CTA_STATS_GLOBAL_ENTRIES.rawValue) {
                count = attribute.uint32.map(Int.init)
            }
            return .done
        }
        return count
    }

    /// Has conntrack forget flows: the next packet of each is a first one. A flow that has gone counts as forgotten.
    ///
    /// - Returns: the first error with which the kernel refused one, and how many it refused.
    package mutating func forget(_ flows: [TrackedFlow]) throws(NetfilterError) -> (refused: Int, error: Errno?) {
        let (refused, error) = try acknowledged(flows, largest: Self.largestDeletion, for: "forgetting flows") {
            $0.appendDeletion(to: &$1, sequence: $2)
        }
        return (refused.count, error)
    }

    /// Headers and some 20 attributes.
    private static let largestDeletion = 512
}

extension TrackedFlow {
    fileprivate func appendDeletion(to buffer: inout MessageBuffer, sequence: UInt32) {
        let source = source.address.bytes
        let isIPv4 = source.count == 4
        let family: Family = isIPv4 ? .ip : .ip6
        buffer.append(
            MessageType.deleteConnection, family: family.rawValue, flags: .acknowledge, sequence: sequence
        ) { message in
            message.nest(CTA_TUPLE_ORIG.rawValue) {
                message.nest(CTA_TUPLE_IP.rawValue) {
                    message.put((isIPv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC).rawValue, bytes: source)
                    message.put(
                        (isIPv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST).rawValue, bytes: destination.address.bytes)
                }
                message.nest(CTA_TUPLE_PROTO.rawValue) {
                    message.put(CTA_PROTO_NUM.rawValue, transport.rawValue)
                    message.put(CTA_PROTO_SRC_PORT.rawValue, self.source.port)
                    message.put(CTA_PROTO_DST_PORT.rawValue, destination.port)
                }
            }
            if let id { message.put(CTA_ID.rawValue, id) }
            if let zone { message.put(CTA_ZONE.rawValue, zone) }
        }
    }
}

extension NetlinkMessage {
    /// nil for what is neither TCP nor UDP.
    fileprivate var trackedFlow: TrackedFlow? {
        guard type == MessageType.newConnection else { return nil }
        var (original, reply): (Attribute?, Attribute?)
        var (id, zone, state): (UInt32?, UInt16?, UInt8?)
        for attribute in attributes {
            switch attribute.type {
            case CInt(CTA_TUPLE_ORIG.rawValue): original = attribute
            case CInt(CTA_TUPLE_REPLY.rawValue): reply = attribute
            case CInt(CTA_ID.rawValue): id = attribute.uint32
            case CInt(CTA_ZONE.rawValue): zone = attribute.uint16
            case CInt(CTA_PROTOINFO.rawValue):
                state = attribute.first(CTA_PROTOINFO_TCP.rawValue)?.first(CTA_PROTOINFO_TCP_STATE.rawValue)?.uint8
            default: break
            }
        }
        guard let (transport, source, destination) = original?.tuple, let responder = reply?.tuple?.source else {
            return nil
        }
        var flow = TrackedFlow(transport, from: source, to: destination, responder: responder)
        (flow.id, flow.zone) = (id, zone)
        // TCP_CONNTRACK_ESTABLISHED and TCP_CONNTRACK_CLOSE.
        (flow.isEstablished, flow.isClosed) = (state == 3, state == 8)
        return flow
    }
}

extension Attribute {
    /// Of CTA_TUPLE_ORIG or CTA_TUPLE_REPLY.
    fileprivate var tuple: (transport: TrackedFlow.Transport, source: Endpoint, destination: Endpoint)? {
        var (source, destination): (IPAddress?, IPAddress?)
        var (transport, sourcePort, destinationPort): (UInt8?, UInt16?, UInt16?)
        for part in nested {
            for attribute in part.nested {
                switch (part.type, attribute.type) {
                case (CInt(CTA_TUPLE_IP.rawValue), CInt(CTA_IP_V4_SRC.rawValue)),
                    (CInt(CTA_TUPLE_IP.rawValue), CInt(CTA_IP_V6_SRC.rawValue)):
                    source = attribute.address
                case (CInt(CTA_TUPLE_IP.rawValue), CInt(CTA_IP_V4_DST.rawValue)),
                    (CInt(CTA_TUPLE_IP.rawValue), CInt(CTA_IP_V6_DST.rawValue)):
                    destination = attribute.address
                case (CInt(CTA_TUPLE_PROTO.rawValue), CInt(CTA_PROTO_NUM.rawValue)): transport = attribute.uint8
                case (CInt(CTA_TUPLE_PROTO.rawValue), CInt(CTA_PROTO_SRC_PORT.rawValue)):
                    sourcePort = attribute.uint16
                case (CInt(CTA_TUPLE_PROTO.rawValue), CInt(CTA_PROTO_DST_PORT.rawValue)):
                    destinationPort = attribute.uint16
                default: break
                }
            }
        }
        guard let transport = transport.flatMap(TrackedFlow.Transport.init), let source, let destination,
            let sourcePort, let destinationPort
        else { return nil }
        return (transport, Endpoint(source, sourcePort), Endpoint(destination, destinationPort))
    }

    /// Of 4 or 16 bytes.
    var address: IPAddress? { unsafe withBytes { unsafe IPAddress(bytes: $0) } }
}

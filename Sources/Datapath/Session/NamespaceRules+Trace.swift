internal import Bypass
internal import Linux
internal import Netfilter
internal import SystemPackage

extension NamespaceRules {
    /// The kernel's trace of those packets that can be sent here, by their index: as root, which the daemon is, and past no
    /// rules of iptables-legacy, which the kernel does not trace. A socket of another user's would take CAP_SETUID or, to
    /// give one away, CAP_CHOWN, and the unit leaves neither.
    ///
    /// Nothing of it leaves the namespace or arrives in it. If something fails the packets have no trace: their ways are
    /// evaluated from the rules.
    func traces(of packets: [FirstPacket], in namespace: borrowing NetworkNamespace) -> [Int: [TraceMessage]] {
        let indices = packets.indices.filter { index in
            packets[index].origin == .local && packets[index].uid == 0 && !hasLegacyOutput(packets[index].family)
        }
        if indices.isEmpty { return [:] }
        var traces: [Int: [TraceMessage]] = [:]
        do throws(SystemCallError) {
            var sockets: [(index: Int, socket: ProbeSocket)] = []
            var tracer = try namespace.withEntered { () throws(SystemCallError) -> PacketTracer in
                for index in indices {
                    let packet = packets[index]
                    // The address may have gone meanwhile.
                    guard let socket = try? ProbeSocket(from: packet.from, to: packet.to, isTCP: packet.isTCP) else {
                        continue
                    }
                    sockets.append((index, socket))
                }
                return try PacketTracer()
            }
            defer { for socket in tracer.sockets { closer.add(socket) } }
            if sockets.isEmpty { return [:] }
            do throws(NetfilterError) {
                try tracer.start(
                    sockets.map { index, socket in
                        PacketTracer.Flow(
                            family: packets[index].family, transport: packets[index].transport, sourcePort: socket.port)
                    })
                for (index, socket) in sockets {
                    // Without a route nothing is sent, and nothing traced.
                    try? socket.send(to: packets[index].to, port: packets[index].port)
                    traces[index] = try tracer.trace()
                }
            } catch {
                // Linux before 5.12, or another program has such a table. What was traced until then is good.
            }
            // If this fails, the kernel removes the table with the socket.
            try? tracer.stop()
        } catch {
            return [:]
        }
        return traces
    }
}

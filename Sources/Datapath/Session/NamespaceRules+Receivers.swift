package import Linux
internal import Netfilter

extension NamespaceRules {
    /// What gets packets at a port of the namespace.
    package enum Receiver: Hashable, Sendable {
        /// No socket is there for them.
        case nothing
        /// A socket, of that process; nil if the process is not found.
        case socket(of: SocketHolder?)
    }

    /// A namespace can have a million sockets, and reading them takes no longer than this.
    private static let listenerTime = Interval.seconds(1)

    /// Finds what gets packets where their ways end. Where that is not known, or not in the namespace, there is nothing.
    func findReceivers(of packets: [FirstPacket], on ways: inout [Way], in namespace: borrowing NetworkNamespace) {
        var listeners: [(index: Int, found: [Listener])] = []
        do throws(SystemCallError) {
            if !ways.contains(where: { $0.path.arrival != nil }) { return }
            var socket = try namespace.withEntered { () throws(SystemCallError) in
                try NetlinkSocket(for: .socketDiagnostics)
            }
            defer { closer.add(socket.shared) }
            socket.deadline = .now + Self.listenerTime
            for index in ways.indices {
                guard let arrival = ways[index].path.arrival,
                    let found = try? socket.listeners(at: arrival, packets[index].transport)
                else { continue }
                listeners.append((index, found))
            }
        } catch {
            return
        }
        let sockets = Set(listeners.flatMap { $0.found.map(\.inode) }).subtracting([0])
        let holders = sockets.isEmpty ? [:] : SocketHolder.find(sockets, in: namespace.inode)
        for (index, found) in listeners {
            // Several processes can share a port, and a socket: mostly the first is the parent of the others.
            let holder = found.compactMap { holders[$0.inode] }.min { $0.pid < $1.pid }
            ways[index].receiver = found.isEmpty ? .nothing : .socket(of: holder)
        }
    }
}

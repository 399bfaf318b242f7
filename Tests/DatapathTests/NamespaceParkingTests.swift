import Glibc
import Linux
import Testing

@testable import Datapath
@testable import Netfilter

@Suite struct NamespaceParkingTests {
    private static func socket() -> NetlinkSocket {
        NetlinkSocket(adopting: OwnedDescriptor(adopting: unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)))
    }

    private static func park(_ inode: UInt64, in parking: NamespaceParking) {
        parking.leave(socket(), cookie: inode, tableLists: [], counters: nil, of: inode, forNext: true)
    }

    @Test("What is open of a namespace is for one session, and for the next once it is parked again")
    func exclusive() throws {
        let closer = try DeferredCloser()
        let parking = NamespaceParking(closer: closer)
        Self.park(1, in: parking)
        #expect(parking.take(2) == nil)
        #expect(parking.take(1)?.cookie == 1)
        #expect(parking.take(1) == nil)
        Self.park(1, in: parking)
        #expect(parking.take(1) != nil)
        closer.stop()
    }

    @Test("Of many namespaces not all stay open, and none stays for long")
    func bounded() throws {
        let closer = try DeferredCloser()
        let parking = NamespaceParking(closer: closer)
        for inode in 0..<1000 { Self.park(UInt64(inode), in: parking) }
        for inode in 0..<1000 { #expect((parking.take(UInt64(inode)) != nil) == (inode < 128)) }
        Self.park(1, in: parking)
        closer.stop()
        #expect(parking.take(1) == nil)
    }

    @Test("A socket on which an exchange failed serves no other session")
    func failed() throws {
        var socket = Self.socket()
        let before = socket.idle
        #expect(before != nil)
        let generation = try? socket.generation()
        #expect(generation == nil)
        let after = socket.idle
        #expect(after == nil)
    }
}

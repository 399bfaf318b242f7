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
        for inode in 0..<1000 { #expect((parking.take(UInt64(inode)) != nil) == (inode < 256)) }
        Self.park(1, in: parking)
        closer.stop()
        #expect(parking.take(1) == nil)
    }

    @Test("Files that no session takes over are closed half a second after they were left")
    func expires() throws {
        let closer = try DeferredCloser()
        let parking = NamespaceParking(closer: closer)
        func park(_ inode: UInt64) throws -> SharedDescriptor {
            var ends: [CInt] = [-1, -1]
            try systemCall("pipe") { unsafe pipe(&ends) }
            let socket = NetlinkSocket(adopting: OwnedDescriptor(adopting: ends[1]))
            parking.leave(socket, cookie: inode, tableLists: [], counters: nil, of: inode, forNext: true)
            return SharedDescriptor(OwnedDescriptor(adopting: ends[0]))
        }
        func isClosed(_ reading: SharedDescriptor, within milliseconds: CInt) -> Bool {
            var question = pollfd(fd: reading.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            return unsafe poll(&question, 1, milliseconds) == 1
        }
        let (began, first) = (Instant.now, try park(1))
        #expect(!isClosed(first, within: 200))
        let second = try park(2)
        #expect(isClosed(first, within: 20_000))
        #expect(Instant.now - began >= .milliseconds(500))
        #expect(isClosed(second, within: 20_000))
        #expect(Instant.now - began >= .milliseconds(700))
        #expect(parking.take(1) == nil && parking.take(2) == nil)
        closer.stop()
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

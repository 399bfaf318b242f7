import Glibc
import Testing

@testable import Linux

@Suite struct SocketHolderTests {
    private let descriptor: SharedDescriptor
    private let inode: UInt64
    private let namespace: UInt64

    init() throws {
        descriptor = SharedDescriptor(OwnedDescriptor(adopting: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)))
        inode = try FileStatus(of: descriptor.descriptor).inode
        namespace = try #require(try Files.inode(of: "/proc/self/ns/net"))
    }

    @Test func `The process that has a socket open is found, in its namespace or another`() throws {
        let own = SocketHolder(pid: getpid(), name: String(try Files.text("/proc/self/comm").dropLast()))
        for namespace in [namespace, 1] {
            #expect(SocketHolder.find([inode], in: namespace) == [inode: own])
        }
        // No socket has a number that is larger.
        #expect(SocketHolder.find([inode, 1 << 40], in: namespace) == [inode: own])
        #expect(SocketHolder.find([], in: namespace) == [:])
    }

    @Test(arguments: [\SocketHolder.Limits.processes, \.descriptors, \.descriptorsOfOne])
    func `No more is looked at than the limits say`(limit: any WritableKeyPath<SocketHolder.Limits, Int> & Sendable) {
        var limits = SocketHolder.Limits()
        limits[keyPath: limit] = 0
        #expect(SocketHolder.find([inode], in: namespace, within: limits) == [:])
    }
}

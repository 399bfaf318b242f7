import Glibc
import Testing

@testable import Linux

@Suite struct MountTableTests {
    private static let table = MountTable(
        Array(
            """
            22 27 0:21 / /proc rw,relatime - proc proc rw
            27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
            42 27 0:40 / /mnt/a\\040b\\134c rw master:1 propagate_from:2 - fuse.sshfs alice@far:/ rw,user_id=1000
            43 27 0:41 / /home rw - autofs systemd-1 rw,fd=54
            44 43 0:42 / /home rw shared:7 - nfs4 far:/home rw
            45 27 0:43 / /odd-\\9 rw - 9p - rw
            46 27 0:44 / /short rw
            47

            48 27 0:45 / /no-type rw -
            """.utf8))

    @Test(
        "A mount's kind is found by its number",
        arguments: [
            ("22", "proc"), ("27", "ext4"), ("42", "fuse.sshfs"), ("44", "nfs4"), ("45", "9p"), ("46", nil),
            ("47", nil),
            ("48", nil), ("49", nil), ("", nil),
        ])
    func types(_ number: String, _ type: String?) {
        #expect(Self.table.type(ofMount: Substring(number)) == type)
    }

    @Test("What another program serves is found by where it is, the uppermost where there are several")
    func foreign() {
        let places = ["/mnt/a b\\c": "fuse.sshfs", "/home": "nfs4", "/odd-\\9": "9p"]
        #expect(Self.table.foreign() == Dictionary(uniqueKeysWithValues: places.map { (PathHash($0), $1) }))
        var grown = PathHash("/mnt")
        grown.append("a b\\c")
        #expect(grown == PathHash("/mnt/a b\\c") && grown != PathHash("/mnt/a b"))
    }

    @Test(
        "What is not known to be the kernel's own is not taken for it",
        arguments: [
            "fuse", "fuseblk", "fuse.lxcfs", "autofs", "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "afs",
            "coda", "overlay", "ecryptfs", "", "none", "EXT4", "ext4 ",
        ])
    func strangers(_ type: String) {
        #expect(!MountTable.isServedByKernel(type))
    }

    @Test("The mount of an open handle is in the table", arguments: [("/proc", "proc"), ("/proc/self/status", "proc")])
    func own(_ path: String, _ type: String) throws {
        let handle = OwnedDescriptor(adopting: unsafe open(path, O_RDONLY | O_CLOEXEC))
        let number = try #require(try MountTable.number(of: handle))
        #expect(try MountTable.current().type(ofMount: number) == type)
    }
}

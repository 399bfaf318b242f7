internal import CBypassABI
internal import CLibbpf
internal import Glibc
internal import Linux
internal import SystemPackage

/// The kernel's report about a map (`struct bpf_map_info`).
struct MapInformation {
    let id: UInt32
    let type: UInt32
    let keySize: Int
    let valueSize: Int

    init(_ map: borrowing OwnedDescriptor) throws(SystemCallError) {
        var information = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        let number = map.rawValue
        try systemCall("bpf BPF_OBJ_GET_INFO_BY_FD") {
            unsafe Pin.negative(bpf_obj_get_info_by_fd(number, &information, &length))
        }
        id = information.id
        type = information.type
        keySize = Int(information.key_size)
        valueSize = Int(information.value_size)
    }
}

/// The kernel's report about a program (`struct bpf_prog_info`).
struct ProgramInformation {
    /// As a number, the bytes that `bpftool prog` prints in their order.
    let tag: UInt64
    /// The one map that it uses; nil if it uses none or more.
    let map: UInt32?
    /// Whether it is a matcher, of whatever version.
    let isMatcher: Bool

    init(_ program: borrowing OwnedDescriptor) throws(SystemCallError) {
        var map: UInt32 = 0
        let information = try unsafe withUnsafeMutablePointer(to: &map) {
            (pointer) throws(SystemCallError) -> bpf_prog_info in
            var request = bpf_prog_info()
            request.nr_map_ids = 1
            request.map_ids = UInt64(UInt(bitPattern: pointer))
            return try Self.ask(program, request)
        }
        tag = unsafe withUnsafeBytes(of: information.tag) { unsafe $0.reduce(0) { $0 << 8 | UInt64($1) } }
        self.map = information.nr_map_ids == 1 ? map : nil
        let name = unsafe withUnsafeBytes(of: information.name) { unsafe Array($0.prefix { $0 != 0 }) }
        isMatcher = information.type == BPF_PROG_TYPE_SOCKET_FILTER.rawValue && name == Array(BYPASS_PROGRAM_PIN.utf8)
    }

    /// nil if it is another kind of object. A map's information could be read as a program's: only proc says what the
    /// descriptor is.
    init?(ofObject object: borrowing OwnedDescriptor) throws(SystemCallError) {
        var target = [CChar](repeating: 0, count: 64)
        let length = try systemCall("readlink") {
            unsafe readlink("/proc/self/fd/\(object.rawValue)", &target, target.count)
        }
        guard target[..<length].map(UInt8.init(bitPattern:)) == Array("anon_inode:bpf-prog".utf8) else { return nil }
        try self.init(object)
    }

    private static func ask(
        _ program: borrowing OwnedDescriptor, _ request: bpf_prog_info
    ) throws(SystemCallError) -> bpf_prog_info {
        var information = request
        var length = UInt32(MemoryLayout<bpf_prog_info>.size)
        let number = program.rawValue
        try systemCall("bpf BPF_OBJ_GET_INFO_BY_FD") {
            unsafe Pin.negative(bpf_obj_get_info_by_fd(number, &information, &length))
        }
        return information
    }
}

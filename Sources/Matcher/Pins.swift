internal import CBypassABI
internal import CLibbpf
internal import Glibc
internal import Linux
internal import SystemPackage

/// Pinning by bpf(2)'s own commands: libbpf's pin functions turn dots in a path, folders included, into underscores.
extension Matcher {
    /// nil if nothing is pinned there.
    static func openPin(_ path: String) throws(SystemCallError) -> OwnedDescriptor? {
        do {
            return OwnedDescriptor(
                adopting: try systemCall("bpf BPF_OBJ_GET \(path)") { unsafe negative(bpf_obj_get(path)) })
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    static func pinObject(_ descriptor: borrowing OwnedDescriptor, at path: String) throws(SystemCallError) {
        let number = descriptor.rawValue
        try systemCall("bpf BPF_OBJ_PIN \(path)") { unsafe negative(bpf_obj_pin(number, path)) }
    }

    /// The map of an earlier daemon with all its entries; nil if there is none.
    static func pinnedMap(_ path: String) throws -> OwnedDescriptor? {
        guard let map = try openPin(path) else { return nil }
        guard let info = try? mapInformation(map), info.type == BPF_MAP_TYPE_HASH.rawValue,
            Int(info.key_size) == MemoryLayout<bypass_key>.size, Int(info.value_size) == MemoryLayout<bypass_value>.size
        else { throw MatcherError.foreignPin(path) }
        return map
    }

    static func mapIdentifier(_ map: borrowing OwnedDescriptor) throws(SystemCallError) -> UInt32 {
        try mapInformation(map).id
    }

    /// The one map that a program uses; nil if it uses none or more.
    static func mapIdentifier(ofProgram program: borrowing OwnedDescriptor) throws(SystemCallError) -> UInt32? {
        var identifier: UInt32 = 0
        let information = try unsafe withUnsafeMutablePointer(to: &identifier) {
            (pointer) throws(SystemCallError) -> bpf_prog_info in
            var request = bpf_prog_info()
            request.nr_map_ids = 1
            request.map_ids = UInt64(UInt(bitPattern: pointer))
            return try programInformation(program, request)
        }
        return information.nr_map_ids == 1 ? identifier : nil
    }

    /// Whether a pinned object is a matcher, of whatever version. A map's information could be read as a program's: what
    /// the descriptor is, only proc tells.
    static func isMatcher(_ object: borrowing OwnedDescriptor) throws(SystemCallError) -> Bool {
        var target = [CChar](repeating: 0, count: 64)
        let length = try systemCall("readlink") {
            unsafe readlink("/proc/self/fd/\(object.rawValue)", &target, target.count)
        }
        guard target[..<length].map(UInt8.init(bitPattern:)) == Array("anon_inode:bpf-prog".utf8) else { return false }
        let information = try programInformation(object, bpf_prog_info())
        let name = unsafe withUnsafeBytes(of: information.name) { unsafe Array($0.prefix { $0 != 0 }) }
        return information.type == BPF_PROG_TYPE_SOCKET_FILTER.rawValue && name == Array(BYPASS_PROGRAM_PIN.utf8)
    }

    static func programTag(_ program: borrowing OwnedDescriptor) throws(SystemCallError) -> String {
        let information = try programInformation(program, bpf_prog_info())
        return unsafe withUnsafeBytes(of: information.tag) { bytes in
            unsafe bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
    }

    private static func mapInformation(_ map: borrowing OwnedDescriptor) throws(SystemCallError) -> bpf_map_info {
        var information = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        let number = map.rawValue
        try systemCall("bpf BPF_OBJ_GET_INFO_BY_FD") {
            unsafe negative(bpf_obj_get_info_by_fd(number, &information, &length))
        }
        return information
    }

    private static func programInformation(
        _ program: borrowing OwnedDescriptor, _ request: bpf_prog_info
    ) throws(SystemCallError) -> bpf_prog_info {
        var information = request
        var length = UInt32(MemoryLayout<bpf_prog_info>.size)
        let number = program.rawValue
        try systemCall("bpf BPF_OBJ_GET_INFO_BY_FD") {
            unsafe negative(bpf_obj_get_info_by_fd(number, &information, &length))
        }
        return information
    }

    /// libbpf returns -errno, and sets errno too (libbpf 1.0).
    static func negative(_ result: CInt) -> CInt { result < 0 ? -1 : result }
}

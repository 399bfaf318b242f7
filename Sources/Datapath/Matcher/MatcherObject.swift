internal import CBypassABI
internal import CLibbpf
internal import Glibc
internal import Linux
internal import SystemPackage

/// The compiled matcher, loaded into the kernel: libbpf's object, freed when this goes away.
@safe struct MatcherObject: ~Copyable {
    private let object: OpaquePointer

    private init(adopting object: OpaquePointer) {
        unsafe self.object = object
    }

    /// Loads the program that reads fields by typed pointers, or where the kernel has none (before Linux 6.2) the one that
    /// does without.
    ///
    /// - Parameter map: the descriptor of an earlier daemon's map, taken instead of a new one.
    static func load(reusing map: CInt?) throws(SystemCallError) -> MatcherObject {
        if let typed = try? load(typedMatcherImage, reusing: map) { return typed }
        return try load(portableMatcherImage, reusing: map)
    }

    private static func load(
        _ image: StaticString, reusing map: CInt?
    ) throws(SystemCallError) -> MatcherObject {
        let bytes = decode(image)
        guard let opened = unsafe bpf_object__open_mem(bytes, bytes.count, nil) else {
            throw SystemCallError("libbpf: opening the matcher", Errno(rawValue: Glibc.errno))
        }
        let loaded = unsafe MatcherObject(adopting: opened)
        if let map {
            try systemCall("libbpf: reusing the matcher's map") {
                unsafe Pin.negative(bpf_map__reuse_fd(bpf_object__find_map_by_name(opened, BYPASS_MAP_PIN), map))
            }
        }
        try systemCall("bpf BPF_PROG_LOAD") { unsafe Pin.negative(bpf_object__load(opened)) }
        return loaded
    }

    deinit {
        unsafe bpf_object__close(object)
    }

    /// A descriptor of its own of the map, which outlives this object.
    func map() throws(SystemCallError) -> OwnedDescriptor {
        try Self.duplicate(unsafe bpf_map__fd(bpf_object__find_map_by_name(object, BYPASS_MAP_PIN)))
    }

    /// A descriptor of its own of the program, which outlives this object.
    func program() throws(SystemCallError) -> OwnedDescriptor {
        try Self.duplicate(unsafe bpf_program__fd(bpf_object__find_program_by_name(object, BYPASS_PROGRAM_PIN)))
    }

    private static func duplicate(_ number: CInt) throws(SystemCallError) -> OwnedDescriptor {
        OwnedDescriptor(adopting: try systemCall("fcntl F_DUPFD_CLOEXEC") { fcntl(number, F_DUPFD_CLOEXEC, 0) })
    }

    /// RFC 4648 base64, as the build plugin wrote it.
    static func decode(_ image: StaticString) -> [UInt8] {
        var bytes: [UInt8] = []
        var group: UInt32 = 0
        var bits = 0
        for character in image.withUTF8Buffer({ unsafe Array($0) }) {
            let digit: UInt32
            switch character {
            case 0x41...0x5a: digit = UInt32(character) - 0x41
            case 0x61...0x7a: digit = UInt32(character) - 0x61 + 26
            case 0x30...0x39: digit = UInt32(character) - 0x30 + 52
            case 0x2b: digit = 62
            case 0x2f: digit = 63
            default: continue
            }
            group = group << 6 | digit
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            }
        }
        return bytes
    }
}

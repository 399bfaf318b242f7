internal import CBypassABI
internal import CLibbpf
internal import Glibc
public import Linux
internal import SystemPackage

/// Why the matcher could not be set up.
public enum MatcherError: Error, Hashable, Sendable {
    /// The folder is not on a BPF file system.
    case noBPFFileSystem(String)
    /// The kernel was built without BTF (CONFIG_DEBUG_INFO_BTF), so the program cannot be fitted to it.
    case noBTF
    /// Something else is pinned under one of our names.
    case foreignPin(String)
    case systemCall(SystemCallError)
}

/// The loaded matcher: a program pinned where rules name it, and its map, the switch of every namespace.
///
/// Pins outlive the daemon. The next one takes over the map with all its entries, and the program if it is the same.
public final class Matcher: Sendable {
    /// The path that rules name.
    public let pin: String
    /// The program's tag, as `bpftool prog` prints it.
    public let tag: String
    private let program: OwnedDescriptor
    private let map: OwnedDescriptor

    private init(pin: String, tag: String, program: consuming OwnedDescriptor, map: consuming OwnedDescriptor) {
        self.pin = pin
        self.tag = tag
        self.program = program
        self.map = map
    }

    /// Loads the program into the kernel and pins it and its map in `folder`, or takes over what is pinned there.
    public static func load(into folder: String) throws(MatcherError) -> Matcher {
        do {
            guard try Files.isBPFFileSystem(folder) else { throw MatcherError.noBPFFileSystem(folder) }
            guard Files.exists("/sys/kernel/btf/vmlinux") else { throw MatcherError.noBTF }
            let mapPin = folder + "/" + BYPASS_MAP_PIN
            let pin = folder + "/" + BYPASS_PROGRAM_PIN
            // A socket filter reads packets and changes nothing: libbpf has nothing to say that the error does not.
            unsafe libbpf_set_print(nil)
            let object = try MatcherObject.load(reusing: try pinnedMap(mapPin))
            let map = try object.map()
            if !Files.exists(mapPin) { try pinObject(map, at: mapPin) }
            let program = try object.program()
            let tag = try programTag(program)
            let matcher = Matcher(pin: pin, tag: tag, program: program, map: map)
            try matcher.ensurePinned()
            return matcher
        } catch let error as MatcherError {
            throw error
        } catch let error as SystemCallError {
            throw error.errno == .noSuchFileOrDirectory && error.operation == "open \(folder)"
                ? .noBPFFileSystem(folder) : .systemCall(error)
        } catch {
            fatalError("unreachable: \(error)")
        }
    }

    /// Pins the program again if the pin has gone, or holds another program (an older version's): rules that are made
    /// from now on are of this one. Rules that stand keep their program until they are replaced.
    ///
    /// - Returns: whether anything had to be done.
    @discardableResult
    public func ensurePinned() throws(MatcherError) -> Bool {
        do {
            if let pinned = try Self.openPin(pin) {
                guard try Self.isMatcher(pinned) else { throw MatcherError.foreignPin(pin) }
                // The same program with another map would be somebody's dead switch.
                let isSame = try Self.programTag(pinned) == tag
                if try isSame && Self.mapIdentifier(ofProgram: pinned) == Self.mapIdentifier(map) {
                    return false
                }
                // Swapped in one step: without the pin, no `iptables` command on a table with our rule works.
                let next = pin + "_next"
                _ = unsafe unlink(next)
                try Self.pinObject(program, at: next)
                try systemCall("rename \(next)") { unsafe rename(next, pin) }
            } else {
                try Self.pinObject(program, at: pin)
            }
            return true
        } catch let error as MatcherError {
            throw error
        } catch let error as SystemCallError {
            throw .systemCall(error)
        } catch {
            fatalError("unreachable: \(error)")
        }
    }

    /// The entry of a namespace; nil if it is in the mesh.
    public func entry(of inode: UInt64) throws(SystemCallError) -> MatcherEntry? {
        var key = bypass_key(netns_inode: inode)
        var value = bypass_value()
        let number = map.rawValue
        do {
            try systemCall("bpf BPF_MAP_LOOKUP_ELEM") { unsafe bpf_map_lookup_elem(number, &key, &value) < 0 ? -1 : 0 }
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
        return MatcherEntry(value)
    }

    /// Makes or replaces the entry of a namespace. From this moment the matcher says yes there.
    public func set(_ entry: MatcherEntry, of inode: UInt64) throws(SystemCallError) {
        var key = bypass_key(netns_inode: inode)
        var value = entry.value
        let number = map.rawValue
        try systemCall("bpf BPF_MAP_UPDATE_ELEM") {
            unsafe bpf_map_update_elem(number, &key, &value, UInt64(BPF_ANY)) < 0 ? -1 : 0
        }
    }

    /// Takes the entry of a namespace away. From this moment the matcher says no there.
    public func remove(_ inode: UInt64) throws(SystemCallError) {
        var key = bypass_key(netns_inode: inode)
        let number = map.rawValue
        do {
            try systemCall("bpf BPF_MAP_DELETE_ELEM") { unsafe bpf_map_delete_elem(number, &key) < 0 ? -1 : 0 }
        } catch {
            if error.errno != .noSuchFileOrDirectory { throw error }
        }
    }

    /// Every namespace that has an entry, by inode.
    public func inodes() throws(SystemCallError) -> [UInt64] {
        var found: [UInt64] = []
        // A hash map starts over when an entry goes away under the walk: the bound ends that.
        while found.count <= Int(BYPASS_MAX_NAMESPACES), let next = try inode(after: found.last) { found.append(next) }
        return Set(found).sorted()
    }

    /// The map's next key; the first one after nil, nil after the last.
    private func inode(after inode: UInt64?) throws(SystemCallError) -> UInt64? {
        var key = bypass_key(netns_inode: inode ?? 0)
        var next = bypass_key()
        let number = map.rawValue
        do {
            try systemCall("bpf BPF_MAP_GET_NEXT_KEY") {
                let result =
                    unsafe inode == nil
                    ? bpf_map_get_next_key(number, nil, &next) : bpf_map_get_next_key(number, &key, &next)
                return result < 0 ? -1 : 0
            }
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
        return next.netns_inode
    }
}

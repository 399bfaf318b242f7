internal import CBypassABI
internal import CLibbpf
internal import Glibc
internal import Linux
internal import SystemPackage

/// The matcher's map, of this version or another: which namespaces are bypassed.
struct MatcherMap: ~Copyable {
    let descriptor: OwnedDescriptor
    /// Bytes of a value: another version knows more of a namespace than this one, or less.
    private let valueSize: Int

    /// A map of this version.
    init(_ descriptor: consuming OwnedDescriptor) {
        self.init(descriptor, valueSize: MemoryLayout<bypass_value>.size)
    }

    private init(_ descriptor: consuming OwnedDescriptor, valueSize: Int) {
        self.descriptor = descriptor
        self.valueSize = valueSize
    }

    /// The map that an earlier daemon of any version pinned; nil if there is none.
    ///
    /// - Throws: `MatcherError.foreignPin` if it is not a matcher's map.
    static func pinned(at path: String) throws(MatcherError) -> MatcherMap? {
        guard let descriptor = try mapError(try Pin.open(path)) else { return nil }
        guard let info = try? MapInformation(descriptor), info.type == BPF_MAP_TYPE_HASH.rawValue,
            info.keySize == MemoryLayout<bypass_key>.size, info.valueSize >= BYPASS_VALUE_MIN_SIZE
        else { throw .foreignPin(path) }
        return MatcherMap(descriptor, valueSize: info.valueSize)
    }

    /// Whether the program of this version can read it.
    var isOfThisVersion: Bool { valueSize == MemoryLayout<bypass_value>.size }

    /// The members of a namespace's entry that both versions know; nil if it has none.
    func entry(of inode: UInt64) throws(SystemCallError) -> RawMapEntry? {
        if isOfThisVersion {
            var value = bypass_value()
            return try unsafe lookUp(inode, &value) ? RawMapEntry(value) : nil
        }
        var bytes = [UInt8](repeating: 0, count: max(valueSize, MemoryLayout<bypass_value>.size))
        guard try unsafe lookUp(inode, &bytes) else { return nil }
        return RawMapEntry(unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: bypass_value.self) })
    }

    /// - Parameter value: has room for `valueSize` bytes.
    /// - Returns: false if there is no entry.
    private func lookUp(_ inode: UInt64, _ value: UnsafeMutableRawPointer) throws(SystemCallError) -> Bool {
        var key = bypass_key(netns_inode: inode)
        let number = descriptor.rawValue
        do {
            try systemCall("bpf BPF_MAP_LOOKUP_ELEM") { unsafe bpf_map_lookup_elem(number, &key, value) < 0 ? -1 : 0 }
        } catch {
            if error.errno == .noSuchFileOrDirectory { return false }
            throw error
        }
        return true
    }

    func set(_ entry: RawMapEntry, of inode: UInt64) throws(SystemCallError) {
        precondition(isOfThisVersion, "entries are written to a map of this version only")
        var key = bypass_key(netns_inode: inode)
        var value = entry.value
        let number = descriptor.rawValue
        try systemCall("bpf BPF_MAP_UPDATE_ELEM") {
            unsafe bpf_map_update_elem(number, &key, &value, UInt64(BPF_ANY)) < 0 ? -1 : 0
        }
    }

    func remove(_ inode: UInt64) throws(SystemCallError) {
        var key = bypass_key(netns_inode: inode)
        let number = descriptor.rawValue
        do {
            try systemCall("bpf BPF_MAP_DELETE_ELEM") { unsafe bpf_map_delete_elem(number, &key) < 0 ? -1 : 0 }
        } catch {
            if error.errno != .noSuchFileOrDirectory { throw error }
        }
    }

    func inodes() throws(SystemCallError) -> [UInt64] {
        var found: [UInt64] = []
        // A hash map starts over when an entry goes away under the walk: the bound ends that.
        while found.count <= Int(BYPASS_MAX_NAMESPACES), let next = try inode(after: found.last) { found.append(next) }
        return Set(found).sorted()
    }

    /// The map's next key; the first one after nil, nil after the last.
    private func inode(after inode: UInt64?) throws(SystemCallError) -> UInt64? {
        var key = bypass_key(netns_inode: inode ?? 0)
        var next = bypass_key()
        let number = descriptor.rawValue
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

    /// Takes over what a map of another version holds. The tag of the program is not: that program reads the other map.
    func copyEntries(of other: borrowing MatcherMap) throws(SystemCallError) {
        for inode in try other.inodes() {
            guard var entry = try other.entry(of: inode) else { continue }
            entry.program = 0
            try set(entry, of: inode)
        }
    }
}

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
    /// The program's tag. An entry holds the one of the program that its rules ask.
    public let tag: UInt64
    /// As `bpftool prog` prints it.
    public var tagText: String {
        let digits = String(tag, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
    /// Whether there was no map to take over: what was bypassed, if anything was, is not known from it.
    public let isMapNew: Bool
    private let folder: String
    private let program: OwnedDescriptor
    private let map: MatcherMap

    private init(
        folder: String, tag: UInt64, isMapNew: Bool, program: consuming OwnedDescriptor, map: consuming MatcherMap
    ) {
        self.folder = folder
        pin = folder + "/" + BYPASS_PROGRAM_PIN
        self.tag = tag
        self.isMapNew = isMapNew
        self.program = program
        self.map = map
    }

    /// Loads the program into the kernel and pins it and its map in `folder`, or takes over what is pinned there.
    public static func load(into folder: String) throws(MatcherError) -> Matcher {
        do {
            try checkFileSystem(of: folder)
            guard Files.exists("/sys/kernel/btf/vmlinux") else { throw MatcherError.noBTF }
            // A socket filter reads packets and changes nothing: libbpf has nothing to say that the error does not.
            unsafe libbpf_set_print(nil)
            let object: MatcherObject
            let isMapNew: Bool
            switch try MatcherMap.pinned(at: folder + "/" + BYPASS_MAP_PIN) {
            case nil:
                object = try MatcherObject.load(reusing: nil)
                isMapNew = true
            case let earlier?:
                isMapNew = false
                if earlier.isOfThisVersion {
                    object = try MatcherObject.load(reusing: earlier.intoDescriptor())
                } else {
                    object = try MatcherObject.load(reusing: nil)
                    // Rules that stand go on asking the old map, which holds the same, until they are replaced.
                    try MatcherMap(object.map()).copyEntries(of: earlier)
                }
            }
            let program = try object.program()
            let matcher = Matcher(
                folder: folder, tag: try ProgramInformation(program).tag, isMapNew: isMapNew, program: program,
                map: MatcherMap(try object.map()))
            try matcher.ensurePinned()
            return matcher
        } catch let error as MatcherError {
            throw error
        } catch let error as SystemCallError {
            throw .systemCall(error)
        } catch {
            fatalError("unreachable: \(error)")
        }
    }

    /// What is pinned in `folder`, as it is, without changing anything; nil if program or map is not there, or the map is of
    /// another version.
    public static func attached(to folder: String) throws(MatcherError) -> Matcher? {
        do {
            try checkFileSystem(of: folder)
            let path = folder + "/" + BYPASS_PROGRAM_PIN
            guard let program = try Pin.open(path), let map = try MatcherMap.pinned(at: folder + "/" + BYPASS_MAP_PIN)
            else { return nil }
            guard let found = try ProgramInformation(ofObject: program), found.isMatcher else {
                throw MatcherError.foreignPin(path)
            }
            if !map.isOfThisVersion { return nil }
            return Matcher(folder: folder, tag: found.tag, isMapNew: false, program: program, map: map)
        } catch let error as MatcherError {
            throw error
        } catch let error as SystemCallError {
            throw .systemCall(error)
        } catch {
            fatalError("unreachable: \(error)")
        }
    }

    private static func checkFileSystem(of folder: String) throws {
        do {
            guard try Files.isBPFFileSystem(folder) else { throw MatcherError.noBPFFileSystem(folder) }
        } catch let error as SystemCallError where error.errno == .noSuchFileOrDirectory {
            throw MatcherError.noBPFFileSystem(folder)
        }
    }

    /// Pins program and map again if a pin has gone, or holds another program (an older version's): rules that are made
    /// from now on are of this one. Rules that stand keep their program until they are replaced.
    ///
    /// - Returns: whether anything had to be done.
    @discardableResult
    public func ensurePinned() throws(MatcherError) -> Bool {
        do {
            let isMapPinned = try ensureMapIsPinned()
            let isProgramPinned = try ensureProgramIsPinned()
            return !isMapPinned || !isProgramPinned
        } catch let error as MatcherError {
            throw error
        } catch let error as SystemCallError {
            // That is how the kernel says it, of a file system that has been unmounted since.
            if error.errno == .notPermitted { throw .noBPFFileSystem(folder) }
            throw .systemCall(error)
        } catch {
            fatalError("unreachable: \(error)")
        }
    }

    /// - Returns: whether it was.
    private func ensureMapIsPinned() throws -> Bool {
        let path = folder + "/" + BYPASS_MAP_PIN
        guard let pinned = try MatcherMap.pinned(at: path) else {
            try Pin.make(path, of: map.descriptor)
            return false
        }
        if try MapInformation(pinned.descriptor).id == MapInformation(map.descriptor).id { return true }
        // Another map would be somebody's dead switch.
        try Pin.replace(path, by: map.descriptor)
        return false
    }

    /// - Returns: whether it was.
    private func ensureProgramIsPinned() throws -> Bool {
        guard let pinned = try Pin.open(pin) else {
            try Pin.make(pin, of: program)
            return false
        }
        guard let found = try ProgramInformation(ofObject: pinned), found.isMatcher else {
            throw MatcherError.foreignPin(pin)
        }
        // The same program with another map would be a dead switch, too.
        if try found.tag == tag && found.map == MapInformation(map.descriptor).id { return true }
        try Pin.replace(pin, by: program)
        return false
    }

    /// The entry of a namespace; nil if it is in the mesh.
    public func entry(of inode: UInt64) throws(SystemCallError) -> MatcherEntry? { try map.entry(of: inode) }

    /// Makes or replaces the entry of a namespace. From this moment the matcher says yes there.
    public func set(_ entry: MatcherEntry, of inode: UInt64) throws(SystemCallError) { try map.set(entry, of: inode) }

    /// Takes the entry of a namespace away. From this moment the matcher says no there.
    public func remove(_ inode: UInt64) throws(SystemCallError) { try map.remove(inode) }

    /// Every namespace that has an entry, by inode.
    public func inodes() throws(SystemCallError) -> [UInt64] { try map.inodes() }
}

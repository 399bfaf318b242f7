package import Bypass
internal import CBypassABI
internal import CLibbpf
internal import Glibc
package import Linux
internal import SystemPackage

/// The reason that the matcher could not be set up.
package enum MatcherError: Error, Hashable, Sendable {
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
package final class Matcher: Sendable {
    /// The path that rules name.
    package let pin: String
    /// The program's tag. An entry holds the one of the program that its rules ask.
    package let tag: UInt64
    /// As `bpftool prog` prints it.
    package var tagText: String {
        let digits = String(tag, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
    /// Whether there was no map to take over: what was bypassed, if anything was, is not known from it.
    package let isMapNew: Bool
    private let folder: String
    private let program: OwnedDescriptor
    private let map: MatcherMap
    /// The nf_tables messages whose rules ask this matcher.
    let operations: PreparedOperations

    private init(
        folder: String, tag: UInt64, isMapNew: Bool, program: consuming OwnedDescriptor, map: consuming MatcherMap
    ) {
        self.folder = folder
        pin = folder + "/" + BYPASS_PROGRAM_PIN
        operations = PreparedOperations(pin: pin)
        self.tag = tag
        self.isMapNew = isMapNew
        self.program = program
        self.map = map
    }

    /// Loads the program into the kernel and pins it and its map in `folder`, or takes over what is pinned there.
    package static func load(into folder: String) throws(MatcherError) -> Matcher {
        try pin(try .load(for: folder), into: folder)
    }

    /// Takes over what is pinned in `folder`, and pins what was loaded. No other daemon may use `folder` from here on.
    ///
    /// - Parameter loaded: for what was pinned at that time; if that has changed, the program is loaded again.
    static func pin(_ loaded: consuming LoadedMatcher, into folder: String) throws(MatcherError) -> Matcher {
        let earlier = try MatcherMap.pinned(at: folder + "/" + BYPASS_MAP_PIN)
        let id: UInt32? =
            switch earlier {
            case let earlier?: try mapError(try MapInformation(earlier.descriptor).id)
            case nil: nil
            }
        if loaded.earlier != id { loaded = try .load(for: folder) }
        let tag = try mapError(try ProgramInformation(loaded.program).tag)
        let matcher = Matcher(
            folder: folder, tag: tag, isMapNew: id == nil, program: loaded.program, map: MatcherMap(loaded.map))
        // Rules that stand go on asking a map of another version, which holds the same, until they are replaced.
        if let earlier, !earlier.isOfThisVersion { try mapError(try matcher.map.copyEntries(of: earlier)) }
        try matcher.ensurePinned()
        return matcher
    }

    /// What is pinned in `folder`, as it is, without changing anything; nil if program or map is not there, or the map is of
    /// another version.
    package static func attached(to folder: String) throws(MatcherError) -> Matcher? {
        try checkFileSystem(of: folder)
        let path = folder + "/" + BYPASS_PROGRAM_PIN
        guard let program = try mapError(try Pin.open(path)),
            let map = try MatcherMap.pinned(at: folder + "/" + BYPASS_MAP_PIN)
        else { return nil }
        guard let found = try mapError(try ProgramInformation(ofObject: program)), found.isMatcher else {
            throw .foreignPin(path)
        }
        if !map.isOfThisVersion { return nil }
        return Matcher(folder: folder, tag: found.tag, isMapNew: false, program: program, map: map)
    }

    static func checkFileSystem(of folder: String) throws(MatcherError) {
        do throws(SystemCallError) {
            if try Files.isBPFFileSystem(folder) { return }
        } catch {
            if error.errno != .noSuchFileOrDirectory { throw .systemCall(error) }
        }
        throw .noBPFFileSystem(folder)
    }

    /// Pins program and map again if a pin has gone, or holds another program (an older version's): rules that are made
    /// from now on are of this one. Rules that stand keep their program until they are replaced.
    ///
    /// - Returns: whether anything had to be done.
    @discardableResult
    package func ensurePinned() throws(MatcherError) -> Bool {
        do throws(MatcherError) {
            let isMapPinned = try ensureMapIsPinned()
            let isProgramPinned = try ensureProgramIsPinned()
            return !isMapPinned || !isProgramPinned
        } catch {
            // EPERM is the kernel's answer where the file system has been unmounted since.
            if case .systemCall(let error) = error, error.errno == .notPermitted { throw .noBPFFileSystem(folder) }
            throw error
        }
    }

    /// - Returns: whether it was.
    private func ensureMapIsPinned() throws(MatcherError) -> Bool {
        let path = folder + "/" + BYPASS_MAP_PIN
        guard let pinned = try MatcherMap.pinned(at: path) else {
            try mapError(try Pin.make(path, of: map.descriptor))
            return false
        }
        let isSame = try mapError(try MapInformation(pinned.descriptor).id == MapInformation(map.descriptor).id)
        if isSame { return true }
        // Nothing would read the entries of another map.
        try mapError(try Pin.replace(path, by: map.descriptor))
        return false
    }

    /// - Returns: whether it was.
    private func ensureProgramIsPinned() throws(MatcherError) -> Bool {
        guard let pinned = try mapError(try Pin.open(pin)) else {
            try mapError(try Pin.make(pin, of: program))
            return false
        }
        guard let found = try mapError(try ProgramInformation(ofObject: pinned)), found.isMatcher else {
            throw .foreignPin(pin)
        }
        // The same program with another map would not read our entries, either.
        let ownMap = try mapError(try MapInformation(map.descriptor).id)
        if found.tag == tag && found.map == ownMap { return true }
        try mapError(try Pin.replace(pin, by: program))
        return false
    }

    /// The entry of a namespace; nil if it is in the mesh.
    package func entry(of inode: UInt64) throws(SystemCallError) -> MapEntry? {
        try map.entry(of: inode).map { MapEntry($0, tag: tag) }
    }

    /// Makes or replaces the entry of a namespace. From this moment the matcher matches there.
    package func set(_ entry: MapEntry, of inode: UInt64) throws(SystemCallError) {
        try map.set(entry.raw(tag: tag), of: inode)
    }

    /// Removes the entry of a namespace. From this moment the matcher does not match there.
    package func remove(_ inode: UInt64) throws(SystemCallError) { try map.remove(inode) }

    /// Every namespace that has an entry, by inode.
    package func inodes() throws(SystemCallError) -> [UInt64] { try map.inodes() }
}

/// The result of a system call, for the matcher.
@discardableResult
func mapError<Result: ~Copyable>(
    _ result: @autoclosure () throws(SystemCallError) -> Result
) throws(MatcherError) -> Result {
    do throws(SystemCallError) {
        return try result()
    } catch {
        throw .systemCall(error)
    }
}

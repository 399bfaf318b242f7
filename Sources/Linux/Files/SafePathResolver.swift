internal import CLinux
internal import Glibc
internal import SystemPackage

/// Resolves an absolute path, one name after the other, for a client who must not use root's rights as its own.
///
/// The client needs no rights to the files on the way, and the daemon has all of them. So what the kernel would do by
/// itself for a path is done with care:
/// - Nothing is opened: there are only handles (O_PATH), which have no effect even on a FIFO, and trigger no automount.
/// - No file system is asked that is served from outside the kernel, where the answer may never come.
/// - A link is followed only if root made it, in a folder where only root can put anything.
/// - In proc only the ways to the network namespaces of processes and threads are taken. Any other name there is refused
///   before it is looked up: the client learns nothing about what a process holds, not even whether it is there.
/// - The number of names and links is bounded, and the time for each name does not depend on how many came before it.
struct SafePathResolver: ~Copyable {
    /// The current position: at the end, the file that the path names. It is not a link.
    private(set) var position: OwnedDescriptor
    /// Whether everybody may look up what lies on the way.
    private(set) var isPublic = true

    private let path: String
    private var status: FileStatus
    /// The way to `position` from the root, without links, and what each name's path hashes to.
    private var way: [(name: String, hash: PathHash)] = []
    /// The remaining names, the next one last.
    private var rest: [String]
    /// The number of names of `way` that lead to the root of the proc file system that `position` is on; nil if it is on another.
    private var proc: Int?
    private var linksLeft = 40
    private var namesLeft = Self.maxNames
    /// The kinds of the file systems that are not looked into, by where they are mounted.
    private let foreign: [PathHash: String]
    /// The mount that the daemon itself runs from. Its server is asked all the time anyway.
    private let rootMount: Substring?

    /// The names of a path, with those of the links on it.
    private static let maxNames = 256

    /// Stands at the root, with all of `path` to go.
    init(_ path: String) throws(NamespaceError) {
        // All that can fail first: of what cannot be copied, nothing may be left half made.
        let root = try mapError(path, try Files.handle(on: "/"))
        let status = try mapError(path, try FileStatus(of: root))
        let rootMount = try mapError(path, try MountTable.number(of: root))
        let foreign = try mapError(path, try MountTable.current()).foreign()
        (self.path, self.status, self.rootMount, self.foreign) = (path, status, rootMount, foreign)
        rest = path.pathNames.reversed()
        position = root
    }

    /// Goes to the end of the path. It cannot be used after an error.
    mutating func resolve() throws(NamespaceError) {
        while let name = rest.popLast() {
            if status.isPrivateFolder { isPublic = false }
            namesLeft -= 1
            guard namesLeft >= 0 else { throw tooLong }
            if let proc, !Self.isWayToNamespace(way[proc...].map(\.name) + [name]) { throw notInProc(name) }
            // Checked before the step, which would wait for an automount that is in progress.
            let hash = hash(of: name)
            if let type = foreign[hash] { throw outside(name, type) }
            let handle = try step(to: name)
            let found = try mapError(path, try FileStatus(of: handle))
            if found.isLink {
                try follow(handle, found, name, hash)
            } else {
                stand(on: handle, found, name, hash)
            }
        }
    }

    /// Whether names lead from the root of proc to a network namespace, or may with more names. Clients write no `..`.
    private static func isWayToNamespace(_ names: [String]) -> Bool {
        if names.last == ".." { return true }
        return [["*", "ns", "net"], ["*", "task", "*", "ns", "net"]].contains { form in
            names.count <= form.count && zip(names, form).allSatisfy { $1 == "*" ? isProcess($0) : $0 == $1 }
        }
    }

    private static func isProcess(_ name: String) -> Bool {
        name == "self" || name == "thread-self" || name.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    // MARK: steps

    private func hash(of name: String) -> PathHash {
        var hash = way.last?.hash ?? PathHash()
        hash.append(name)
        return hash
    }

    private mutating func step(to name: String) throws(NamespaceError) -> OwnedDescriptor {
        do throws(SystemCallError) {
            return try Files.handle(on: name, in: position.rawValue, crossingMounts: false)
        } catch {
            guard error.errno == .improperLink else { throw NamespaceError(error, path: path) }
        }
        // A handle on the root of the other mount: that alone sends no request to a file system.
        let handle = try mapError(path, try Files.handle(on: name, in: position.rawValue))
        proc = nil
        guard let mount = try mapError(path, try MountTable.number(of: handle)), mount != rootMount else {
            return handle
        }
        // As it is now: while the handle is there, the mount's number is given to no other.
        let table = try mapError(path, try MountTable.current())
        let type = table.type(ofMount: mount)
        guard let type, MountTable.isServedByKernel(type) else { throw outside(name, type) }
        if type == "proc" {
            // The way from its root is what counts: it is known from above, and where all of it is mounted.
            guard name != "..", table.isWhole(mount) else { throw notInProc(name) }
            proc = way.count + 1
        }
        return handle
    }

    private mutating func stand(
        on handle: consuming OwnedDescriptor, _ found: FileStatus, _ name: String, _ hash: PathHash
    ) {
        switch name {
        case ".": break
        case "..": _ = way.popLast()
        default: way.append((name, hash))
        }
        position = handle
        status = found
    }

    // MARK: links

    private mutating func follow(
        _ link: borrowing OwnedDescriptor, _ found: FileStatus, _ name: String, _ hash: PathHash
    ) throws(NamespaceError) {
        // In proc's own folder lie ordinary ones (self, thread-self), below it those to namespaces.
        if let proc, way.count != proc { return try enterNamespace(name, of: way[proc].name, hash) }
        guard found.owner == 0, status.isRootsAlone else {
            throw .notFollowed(
                "\(point(name)) is a link that not only root could have put there, so it is not followed: "
                    + "name what it leads to")
        }
        linksLeft -= 1
        guard linksLeft >= 0 else { throw .notFound(path) }
        let target = try mapError(path, try Self.target(of: link))
        rest += target.pathNames.reversed()
        if target.utf8.first == 0x2f {
            let root = try mapError(path, try Files.handle(on: "/"))
            let status = try mapError(path, try FileStatus(of: root))
            (way, proc) = ([], nil)
            stand(on: root, status, ".", hash)
        }
    }

    private mutating func enterNamespace(
        _ name: String, of process: String, _ hash: PathHash
    ) throws(NamespaceError) {
        let namespace = try openNamespace(name, of: process)
        let found = try mapError(path, try FileStatus(of: namespace))
        proc = nil
        stand(on: namespace, found, name, hash)
    }

    private func openNamespace(_ name: String, of process: String) throws(NamespaceError) -> OwnedDescriptor {
        do throws(SystemCallError) {
            return OwnedDescriptor(
                adopting: try systemCall("open \(path)") { unsafe clinux_follow(position.rawValue, name) })
        } catch {
            throw NamespaceError(error, path: path, process: process)
        }
    }

    private static func target(of link: borrowing OwnedDescriptor) throws(SystemCallError) -> String {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try systemCall("readlink") {
            unsafe readlinkat(link.rawValue, "", &target, target.count)
        }
        return String(decoding: target[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    // MARK: words

    /// The absolute path of `name` in the current folder.
    private func point(_ name: String) -> String {
        "/" + (way.map(\.name) + [name]).joined(separator: "/")
    }

    private func outside(_ name: String, _ type: String?) -> NamespaceError {
        .notFollowed(
            "\(point(name)) is served from outside the kernel (\(type ?? "a mount that has gone")): "
                + "a look-up there may block forever, so nothing there is used")
    }

    private func notInProc(_ name: String) -> NamespaceError {
        .notFollowed("\(point(name)) is not followed: of proc only PID/ns/net and PID/task/TID/ns/net are")
    }

    private var tooLong: NamespaceError {
        .notFollowed(
            "\(path) leads through more than \(Self.maxNames) names, those of links included: name what it leads to")
    }
}

/// The result of a system call, for a walk along `path`.
private func mapError<Result: ~Copyable>(
    _ path: String, _ result: @autoclosure () throws(SystemCallError) -> Result
) throws(NamespaceError) -> Result {
    do throws(SystemCallError) {
        return try result()
    } catch {
        throw NamespaceError(error, path: path)
    }
}

extension String {
    /// The names that a path consists of. The last one is `.` if the path asks for a folder.
    var pathNames: [String] {
        let names = utf8.split(separator: 0x2f).map { String(Substring($0)) }
        let asksForFolder = utf8.last == 0x2f || names.last == "."
        return names.filter { $0 != "." } + (asksForFolder ? ["."] : [])
    }
}

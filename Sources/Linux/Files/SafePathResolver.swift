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
/// - Of the links in proc that lead into what a process holds, only those to its namespaces are followed.
struct SafePathResolver: ~Copyable {
    /// How far it has come: at the end, what the path names. It is not a link.
    private(set) var position: OwnedDescriptor
    /// Whether everybody may look up what lies on the way.
    private(set) var isPublic = true

    private let path: String
    private var status: FileStatus
    /// The way to `position` from the root, without links.
    private var names: [String] = []
    /// What is still to come, the next one last.
    private var rest: [String]
    /// How many of `names` lead to the root of the proc file system that `position` is on; nil if it is on another.
    private var proc: Int?
    private var linksLeft = 40
    /// File systems that are not looked into, by where they are mounted.
    private let foreign: [String: String]
    /// The mount that the daemon itself runs from. Its server is asked all the time anyway.
    private let rootMount: Substring?

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
            let point = "/" + (names + [name]).joined(separator: "/")
            // Before a step is made: onto an automount that is under way it would wait for the end of that.
            if let type = foreign[point] { throw outside(point, type) }
            if status.isPrivateFolder { isPublic = false }
            let handle = try step(to: name, point)
            let found = try mapError(path, try FileStatus(of: handle))
            if found.isLink {
                try follow(handle, found, name, point)
            } else {
                stand(on: handle, found, name)
            }
        }
    }

    // MARK: steps

    private mutating func step(to name: String, _ point: String) throws(NamespaceError) -> OwnedDescriptor {
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
        let type = try mapError(path, try MountTable.current()).type(ofMount: mount)
        guard let type, MountTable.isServedByKernel(type) else { throw outside(point, type) }
        if type == "proc" {
            // Its root is known from above. The other way is not needed.
            guard name != ".." else { throw intoProcess(point) }
            proc = names.count + 1
        }
        return handle
    }

    private mutating func stand(on handle: consuming OwnedDescriptor, _ found: FileStatus, _ name: String) {
        switch name {
        case ".": break
        case "..": _ = names.popLast()
        default: names.append(name)
        }
        position = handle
        status = found
    }

    // MARK: links

    private mutating func follow(
        _ link: borrowing OwnedDescriptor, _ found: FileStatus, _ name: String, _ point: String
    ) throws(NamespaceError) {
        // In proc's own folder lie ordinary ones (self, thread-self, net), below it those into processes.
        if let proc, names.count != proc { return try enterNamespace(names.dropFirst(proc), name, point) }
        guard found.owner == 0, status.isRootsAlone else {
            throw .notFollowed(
                "\(point) is a link that not only root could have put there, so it is not followed: "
                    + "name what it leads to")
        }
        linksLeft -= 1
        guard linksLeft >= 0 else { throw .notFound(path) }
        let target = try mapError(path, try Self.target(of: link, point))
        rest += target.pathNames.reversed()
        if target.utf8.first == 0x2f {
            let root = try mapError(path, try Files.handle(on: "/"))
            let status = try mapError(path, try FileStatus(of: root))
            (names, proc) = ([], nil)
            stand(on: root, status, ".")
        }
    }

    /// PID/ns and PID/task/TID/ns are folders of links to namespaces.
    private mutating func enterNamespace(
        _ process: ArraySlice<String>, _ name: String, _ point: String
    ) throws(NamespaceError) {
        let folder = Array(process)
        guard folder.last == "ns", folder.count == 2 || folder.count == 4 && folder[1] == "task" else {
            throw intoProcess(point)
        }
        let namespace = try openNamespace(name, of: folder[0])
        let found = try mapError(path, try FileStatus(of: namespace))
        proc = nil
        stand(on: namespace, found, name)
    }

    private func openNamespace(_ name: String, of process: String) throws(NamespaceError) -> OwnedDescriptor {
        do throws(SystemCallError) {
            return OwnedDescriptor(
                adopting: try systemCall("open \(path)") { unsafe clinux_follow(position.rawValue, name) })
        } catch {
            throw NamespaceError(error, path: path, process: process)
        }
    }

    private static func target(of link: borrowing OwnedDescriptor, _ point: String) throws(SystemCallError) -> String {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try systemCall("readlink \(point)") {
            unsafe readlinkat(link.rawValue, "", &target, target.count)
        }
        return String(decoding: target[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    // MARK: words

    private func outside(_ point: String, _ type: String?) -> NamespaceError {
        .notFollowed(
            "\(point) is served from outside the kernel (\(type ?? "a mount that has gone")): "
                + "who looks there may wait for ever, so nothing there is used")
    }

    private func intoProcess(_ point: String) -> NamespaceError {
        .notFollowed("\(point) leads into what a process holds, so it is not followed")
    }
}

/// What a system call gives, for a walk along `path`.
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

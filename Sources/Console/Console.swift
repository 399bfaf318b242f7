internal import Bypass
package import BypassAPI
internal import Glibc
internal import Linux

/// A command line tool's environment and output. The only file of the tools with unsafe code: there is
/// no other way to these without Foundation.
package enum Console {
    /// A variable of the environment; one that is empty counts as unset.
    package static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }

    package static var now: Timestamp {
        Timestamp(secondsSince1970: Int64(time(nil)))
    }

    package static var isRoot: Bool { geteuid() == 0 }

    package static var userID: UInt32 { getuid() }

    package static var isOutputTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    package static var isInputTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    /// The number of standard output's columns; nil if it is not a terminal. Some terminals, such as a serial line, do not say.
    package static var outputWidth: Int? {
        guard isOutputTerminal else { return nil }
        return Terminal.width(of: STDOUT_FILENO) ?? environment("COLUMNS").flatMap(Int.init) ?? 80
    }

    // MARK: - Output

    package static func print(_ text: String) throws(OutputError) {
        try write(text, to: STDOUT_FILENO)
    }

    /// Prints what is wrong on standard error. The sentence may hold what others sent.
    package static func printError(_ sentence: String) {
        // Where standard error cannot be written to, there is no other place to report it.
        try? write("\(programName): \(sentence.printable)\n", to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: CInt) throws(OutputError) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest.removeFirst(count)
            } else if errno != EINTR {
                throw OutputError(errno: errno)
            }
        }
    }

    // MARK: - Programs

    /// Of this process, as it was called.
    package static var programName: String {
        let path = CommandLine.arguments.first ?? ""
        return path.split(separator: "/").last.map(String.init) ?? Product.name
    }

    /// The path of a program of this package: beside this one, or else in PATH.
    package static func program(_ name: String) -> String? {
        let own = target(of: "/proc/self/exe").flatMap { path in path.lastIndex(of: "/").map { String(path[..<$0]) } }
        let folders = [own].compactMap(\.self) + (environment("PATH") ?? "").split(separator: ":").map(String.init)
        return folders.map { $0 + "/" + name }.first { unsafe access($0, X_OK) == 0 }
    }

    private static func target(of link: String) -> String? {
        var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe target.withUnsafeMutableBytes {
            unsafe readlink(link, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        return count < 0 ? nil : String(decoding: target[..<count], as: UTF8.self)
    }

    /// Replaces this process by another program (execv(3)). Returns only if that fails: why.
    package static func execute(_ path: String, _ arguments: [String]) -> String {
        let words = [path] + arguments
        var pointers = unsafe words.map { unsafe strdup($0) } + [nil]
        _ = unsafe execv(path, &pointers)
        return unsafe String(cString: strerror(errno))
    }
}

/// The output could not be written, to a full disk or to a reader that has gone.
package struct OutputError: Error, CustomStringConvertible {
    let errno: CInt

    package var description: String { unsafe String(cString: strerror(errno)) }

    /// As in `kmesh-bypassctl list | head -1`: that is not reported.
    package var isReaderGone: Bool { errno == EPIPE }

    /// Prints it on standard error, unless the reader has gone.
    package func report() {
        if !isReaderGone { Console.printError("cannot write the output: \(self)") }
    }
}

/// What is wrong with a policy file, and where.
public struct Complaint: Hashable, Sendable, Error {
    /// From 1 on.
    public var line: Int
    /// What is wrong, and what to do about it.
    public var message: String

    init(_ line: Int, _ message: String) {
        self.line = line
        self.message = message
    }
}

/// Why a policy file is not taken: all of it, so that it can be put right in one go.
public struct PolicyFileError: Error, Hashable, Sendable {
    /// By line; at least one.
    public let complaints: [Complaint]
    /// Whether the reader gave up before the end of the file.
    public let isCutShort: Bool

    /// Beyond this many nobody reads on; and nobody who writes a file can make the daemon keep more of it.
    static let mostComplaints = 100

    init(_ complaints: [Complaint]) {
        self.complaints = Array(complaints.sorted { $0.line < $1.line }.prefix(Self.mostComplaints))
        isCutShort = complaints.count > Self.mostComplaints
    }

    /// A line for each complaint, such as `/etc/kmesh/bypassd.toml:7: no user is named "alcie"`.
    public func lines(about path: String) -> [String] {
        let lines = complaints.map { "\(path):\($0.line): \($0.message)" }
        return isCutShort ? lines + ["\(path): more is wrong than fits here: put these right first"] : lines
    }
}

public import Bypass
public import Linux
public import Matcher

extension Matcher {
    /// The entry of a namespace as plans see it; nil if it is in the mesh.
    public func state(of inode: UInt64) throws(SystemCallError) -> Entry? {
        try entry(of: inode).map { Entry($0, tag: tag) }
    }

    /// Makes or replaces the entry of a namespace.
    public func set(_ entry: Entry, of inode: UInt64) throws(SystemCallError) {
        try set(entry.forMatcher(tag: tag), of: inode)
    }
}

extension Entry {
    /// - Parameter tag: of the matcher that is pinned now.
    init(_ entry: MatcherEntry, tag: UInt64) {
        let hooks = Hook.allCases.filter { entry.hooks.contains($0.bit) }
        let made = Made.everything.filter { entry.made.contains($0.bit) }
        self.init(
            deadline: entry.deadline, hooks: Set(hooks), made: Set(made), isCurrent: entry.program == tag)
    }

    fileprivate func forMatcher(tag: UInt64) -> MatcherEntry {
        MatcherEntry(
            deadline: deadline, hooks: .init(hooks.map(\.bit)), made: .init(made.map(\.bit)),
            program: isCurrent ? tag : 0)
    }
}

extension Hook {
    fileprivate var bit: MatcherEntry.Hooks { self == .output ? .output : .prerouting }
}

extension Made {
    fileprivate static let everything: [Made] = Family.allCases.flatMap { family in
        [.table(family)] + Hook.allCases.map { .chain(Place(family, $0)) }
    }

    fileprivate var bit: MatcherEntry.Made {
        switch self {
        case .table(.ip): .ipTable
        case .table(.ip6): .ip6Table
        case .chain(let place):
            switch (place.family, place.hook) {
            case (.ip, .prerouting): .ipPrerouting
            case (.ip, .output): .ipOutput
            case (.ip6, .prerouting): .ip6Prerouting
            case (.ip6, .output): .ip6Output
            }
        }
    }
}

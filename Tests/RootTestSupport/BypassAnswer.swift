public import StrictJSON

/// An answer that is not as the contract has it.
public struct NotByContract: Error, CustomStringConvertible {
    public let description: String

    public init(description: String) {
        self.description = description
    }
}

/// The object that `bypass` and `status` give, read by the names of the contract and by nothing of the daemon's code.
public struct BypassAnswer: Hashable, Sendable {
    public struct Warning: Hashable, Sendable {
        public let code: String
        public let message: String
    }

    public let netns: String
    public let inode: Int
    public let state: String
    /// nil in what is not the answer to `bypass`.
    public let changed: Bool?
    public let effective: Bool
    public let direction: String?
    public let since: String?
    public let expiresAt: String?
    public let owner: String?
    public let reason: String?
    public let setBy: JSONValue
    public let generation: Int
    /// Family, table, chain and handle of each.
    public let rules: [String]
    /// What has passed the rules by, by the name of their chain.
    public let packets: [String: Int]
    public let warnings: [Warning]

    public var codes: [String] { warnings.map(\.code) }

    /// - Throws: `NotByContract` if a member is missing or of another type.
    public init(_ value: JSONValue) throws {
        let object = try Members(value)
        netns = try object.string("netns")
        inode = try object.integer("inode")
        state = try object.string("state")
        changed = object.has("changed") ? try object.bool("changed") : nil
        effective = try object.bool("effective")
        direction = try object.optionalString("direction")
        since = try object.optionalString("since")
        expiresAt = try object.optionalString("expiresAt")
        owner = try object.optionalString("owner")
        reason = try object.optionalString("reason")
        setBy = try object.value("setBy")
        generation = try object.integer("generation")
        var packets: [String: Int] = [:]
        rules = try object.array("rules").map { rule in
            let rule = try Members(rule)
            packets[try rule.string("chain").uppercased(), default: 0] += try rule.integer("packets")
            _ = try rule.integer("bytes")
            let place = [try rule.string("family"), try rule.string("table"), try rule.string("chain")]
            return (place + ["\(try rule.integer("handle"))"]).joined(separator: " ")
        }
        self.packets = packets
        warnings = try object.array("warnings").map { warning in
            let warning = try Members(warning)
            return Warning(code: try warning.string("code"), message: try warning.string("message"))
        }
    }
}

/// An object of which every member that is asked for has to be there.
struct Members {
    private let object: JSONObject

    init(_ value: JSONValue) throws {
        guard let object = value.object else { throw NotByContract(description: "no object: \(value)") }
        self.object = object
    }

    func has(_ name: String) -> Bool { object[name] != nil }

    func value(_ name: String) throws -> JSONValue {
        guard let value = object[name] else { throw NotByContract(description: "no \(name) in \(object)") }
        return value
    }

    func string(_ name: String) throws -> String {
        guard let text = try optionalString(name) else { throw NotByContract(description: "\(name) is null") }
        return text
    }

    func optionalString(_ name: String) throws -> String? {
        switch try value(name) {
        case .string(let text): text
        case .null: nil
        default: throw NotByContract(description: "\(name) is no string in \(object)")
        }
    }

    func bool(_ name: String) throws -> Bool {
        guard case .bool(let flag) = try value(name) else {
            throw NotByContract(description: "\(name) is no Boolean in \(object)")
        }
        return flag
    }

    func integer(_ name: String) throws -> Int {
        guard case .number(let number) = try value(name), let integer = Int(exactly: number) else {
            throw NotByContract(description: "\(name) is no integer in \(object)")
        }
        return integer
    }

    func array(_ name: String) throws -> [JSONValue] {
        guard let array = try value(name).array else {
            throw NotByContract(description: "\(name) is no array in \(object)")
        }
        return array
    }
}

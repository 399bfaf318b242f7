package import StrictJSON

/// An answer that violates the contract.
package struct ContractViolation: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) {
        self.description = description
    }
}

/// The object that `bypass` and `status` give, read by the names of the contract and by nothing of the daemon's code.
package struct BypassAnswer: Hashable, Sendable {
    package struct Warning: Hashable, Sendable {
        package let code: String
        package let message: String
    }

    package let netns: String
    package let inode: Int
    package let state: String
    /// nil in what is not the answer to `bypass`.
    package let changed: Bool?
    package let effective: Bool
    package let effect: String
    package let direction: String?
    /// null where there is none.
    package let only: JSONValue
    package let except: JSONValue
    /// nil of a bypass that is for whatever sends.
    package let cgroup: Int?
    package let since: String?
    package let expiresAt: String?
    package let owner: String?
    package let reason: String?
    package let setBy: JSONValue
    package let generation: Int
    /// Family, table, chain and handle of each.
    package let rules: [String]
    /// What has passed the rules by, by the name of their chain.
    package let packets: [String: Int]
    package let warnings: [Warning]

    package var codes: [String] { warnings.map(\.code) }

    /// - Throws: `ContractViolation` if a member is missing or of another type.
    package init(_ value: JSONValue) throws {
        let object = try Members(value)
        netns = try object.string("netns")
        inode = try object.integer("inode")
        state = try object.string("state")
        changed = object.has("changed") ? try object.bool("changed") : nil
        effective = try object.bool("effective")
        effect = try object.string("effect")
        // For every answer of every test.
        guard ["all", "nothing-to-bypass"].contains(effect) == effective else {
            throw ContractViolation(description: "effective \(effective) with effect \(effect)")
        }
        direction = try object.optionalString("direction")
        only = try object.value("only")
        except = try object.value("except")
        cgroup = try object.value("cgroup") == .null ? nil : try object.integer("cgroup")
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
        guard let object = value.object else { throw ContractViolation(description: "not an object: \(value)") }
        self.object = object
    }

    func has(_ name: String) -> Bool { object[name] != nil }

    func value(_ name: String) throws -> JSONValue {
        guard let value = object[name] else { throw ContractViolation(description: "no \(name) in \(object)") }
        return value
    }

    func string(_ name: String) throws -> String {
        guard let text = try optionalString(name) else { throw ContractViolation(description: "\(name) is null") }
        return text
    }

    func optionalString(_ name: String) throws -> String? {
        switch try value(name) {
        case .string(let text): text
        case .null: nil
        default: throw ContractViolation(description: "\(name) is not a string in \(object)")
        }
    }

    func bool(_ name: String) throws -> Bool {
        guard case .bool(let flag) = try value(name) else {
            throw ContractViolation(description: "\(name) is not a Boolean in \(object)")
        }
        return flag
    }

    func integer(_ name: String) throws -> Int {
        guard case .number(let number) = try value(name), let integer = Int(exactly: number) else {
            throw ContractViolation(description: "\(name) is not an integer in \(object)")
        }
        return integer
    }

    func array(_ name: String) throws -> [JSONValue] {
        guard let array = try value(name).array else {
            throw ContractViolation(description: "\(name) is not an array in \(object)")
        }
        return array
    }
}

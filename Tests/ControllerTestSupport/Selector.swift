public import StrictJSON

/// A label or field selector (`labels.Parse` and `fields.ParseSelector` of apimachinery): the forms that are used here.
struct Selector: Sendable {
    private enum Requirement: Sendable {
        case equals(String, String)
        case differs(String, String)
        case exists(String)
        case isAbsent(String)
        case isAmong(String, Set<String>, isWanted: Bool)
    }

    private var requirements: [Requirement] = []

    init(_ text: String?) {
        for part in Self.parts(text ?? "") {
            if part.hasSuffix(")"), let (rest, values) = Self.split(part.dropLast(), "(") {
                let isWanted = !rest.hasSuffix(" notin ")
                let key = rest.dropLast(isWanted ? " in ".count : " notin ".count)
                let set = Set(values.split(separator: ",").map(String.init))
                requirements.append(.isAmong(String(key), set, isWanted: isWanted))
            } else if part.hasPrefix("!") {
                requirements.append(.isAbsent(String(part.dropFirst())))
            } else if let (key, value) = Self.split(part, "!=") {
                requirements.append(.differs(key, value))
            } else if let (key, value) = Self.split(part, "==") ?? Self.split(part, "=") {
                requirements.append(.equals(key, value))
            } else {
                requirements.append(.exists(String(part)))
            }
        }
    }

    /// At commas outside of parentheses.
    private static func parts(_ text: String) -> [Substring] {
        var isInside = false
        return text.split { character in
            if "()".contains(character) { isInside = character == "(" }
            return character == "," && !isInside
        }
    }

    private static func split(_ text: Substring, _ separator: String) -> (String, String)? {
        guard let range = text.firstRange(of: separator) else { return nil }
        return (String(text[..<range.lowerBound]), String(text[range.upperBound...]))
    }

    func matches(_ value: (String) -> String?) -> Bool {
        requirements.allSatisfy { requirement in
            switch requirement {
            case .equals(let key, let wanted): (value(key) ?? "") == wanted
            case .differs(let key, let other): value(key) != other
            case .exists(let key): value(key) != nil
            case .isAbsent(let key): value(key) == nil
            case .isAmong(let key, let values, let isWanted): (value(key).map(values.contains) ?? false) == isWanted
            }
        }
    }
}

extension JSONValue {
    public subscript(name: String) -> JSONValue? { object?[name] }

    /// `metadata.name` and the like.
    func text(at path: String) -> String? {
        path.split(separator: ".").reduce(JSONValue?.some(self)) { $0?[String($1)] }?.string
    }

    /// The object with one member changed, added or, for nil, removed.
    public func setting(_ name: String, _ value: JSONValue?) -> JSONValue {
        var members = (object?.members ?? []).map { ($0.key, $0.value) }
        let index = members.firstIndex { $0.0 == name }
        switch (index, value) {
        case (let index?, let value?): members[index].1 = value
        case (let index?, nil): members.remove(at: index)
        case (nil, let value?): members.append((name, value))
        case (nil, nil): break
        }
        return .object(JSONObject(uniqueMembers: members))
    }

    /// RFC 7386.
    func merged(with patch: JSONValue) -> JSONValue {
        guard let changes = patch.object else { return patch }
        return changes.members.reduce(object == nil ? .object([:]) : self) { result, member in
            result.setting(
                member.key, member.value == .null ? nil : (result[member.key] ?? .null).merged(with: member.value))
        }
    }
}

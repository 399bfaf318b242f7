/// The names of each thing together, in the order in which things come.
package func grouped<Thing: Hashable>(_ pairs: [(Thing, String)]) -> [(Thing, [String])] {
    var order: [Thing] = []
    var names: [Thing: [String]] = [:]
    for (thing, name) in pairs {
        if names[thing] == nil { order.append(thing) }
        names[thing, default: []].append(name)
    }
    return order.map { ($0, names[$0] ?? []) }
}

/// `a, b and c`, or `a, b, c and 4 more`.
package func enumeration(of names: [String]) -> String {
    let maxNames = 3
    if names.count > maxNames + 1 {
        return names.prefix(maxNames).joined(separator: ", ") + " and \(names.count - maxNames) more"
    }
    return names.count < 2
        ? names.joined() : names.dropLast().joined(separator: ", ") + " and " + (names.last ?? "")
}

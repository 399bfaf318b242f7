extension Change: CustomStringConvertible {
    /// As it follows "may" and "may not", with all that was asked for.
    public var description: String {
        words(direction: true, ttl: true)
    }

    /// The same, but of direction and ttl only what the lacks are about.
    func words(about lacks: [Lack]) -> String {
        var (direction, ttl) = (false, false)
        for lack in lacks {
            switch lack {
            case .direction: direction = true
            case .ttlMissing, .ttlTooLong: ttl = true
            case .role, .host, .namespace: break
            }
        }
        return words(direction: direction, ttl: ttl)
    }

    private func words(direction tellsDirection: Bool, ttl tellsTTL: Bool) -> String {
        let netns = netns.asPartOfSentence
        guard case .on(let hooks, let ttl) = wish else { return "turn off \(netns)" }
        var words = "turn on \(netns)"
        if tellsDirection { words += hooks.count > 1 ? " in \(hooks.directionName)" : " \(hooks.directionName)" }
        if tellsTTL { words += ttl.map { " for \($0) seconds" } ?? " without a ttl" }
        return words
    }
}

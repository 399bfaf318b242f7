internal import Bypass
internal import BypassAPI
internal import BypassPolicy

extension Grant {
    /// The allowed actions, in words.
    var sentence: String {
        let names = subjects.map(\.description).joined(separator: ", ")
        return "\(names) may " + abilities
    }

    private var abilities: String {
        switch role {
        case .read: return "read status"
        case .admin:
            return "do everything" + (allowsHost ? ", in the host's namespace too" : " but touch the host's namespace")
        case .bypass: break
        }
        var words = "read status, and turn bypasses on and off in "
        words += namespaces.map { $0.map(\.description).joined(separator: ", ") } ?? "all namespaces but the host's"
        switch hooks {
        case [.prerouting]: words += "; on for inbound only"
        case [.output]: words += "; on for outbound only"
        default: break
        }
        if scope != .all { words += "; on with a scope within (\(scope))" }
        if let maxTTL {
            words += "; on for at most \(TimeToLive.text(seconds: maxTTL))"
        } else if requiresTTL {
            words += "; on with a time limit only"
        }
        if let defaultTTL { words += "; for \(TimeToLive.text(seconds: defaultTTL)) by default" }
        return words
    }
}

extension Policy {
    var sentenceAboutRoot: String {
        let root = Caller(uid: 0, gid: 0)
        return "root may do everything"
            + ((try? authorizeRead(netns: Change.host, isHost: true, by: root)) != nil
                ? ", in the host's namespace too" : " but touch the host's namespace")
    }
}

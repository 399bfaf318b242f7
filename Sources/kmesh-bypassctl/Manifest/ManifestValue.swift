internal import BypassAPI

/// A value in a manifest that comes from the command line. Only what Kubernetes accepts is one, so none has a quote or a
/// line feed with which it could add to the YAML.
protocol ManifestValue: CustomStringConvertible {
    init(_ text: String) throws(Malformed)
}

/// The fault of a malformed value: a sentence about what would be accepted.
struct Malformed: Error, Hashable, CustomStringConvertible {
    let description: String
}

/// The name of a container image: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
struct ImageReference: ManifestValue {
    let description: String

    /// Without a host: an image that was built for the purpose, and loaded on the nodes.
    static let usual = ImageReference(unchecked: "kmesh-bypass-controller:\(Product.version)")
    static let usualOfDaemon = ImageReference(unchecked: "kmesh-bypassd:\(Product.version)")

    private init(unchecked text: String) {
        description = text
    }

    init(_ text: String) throws(Malformed) {
        // The grammar of github.com/distribution/reference, with the digests in use.
        let grammar =
            #/
            (?: (?: [A-Za-z0-9] (?: [A-Za-z0-9.\-]* [A-Za-z0-9] )? | \[ [0-9A-Fa-f:]+ \] ) (?: : [0-9]{1,5} )? / )?
            [a-z0-9]+ (?: (?: \. | __? | -+ ) [a-z0-9]+ )*
            (?: / [a-z0-9]+ (?: (?: \. | __? | -+ ) [a-z0-9]+ )* )*
            (?: : [A-Za-z0-9_] [A-Za-z0-9_.\-]{0,127} )?
            (?: @ sha (?: 256:[0-9a-f]{64} | 512:[0-9a-f]{128} ) )?
            /#
        // A name may have 255 characters; the longest tag and the longest digest come on top.
        guard text.utf8.count <= 255 + 129 + 136, (try? grammar.wholeMatch(in: text)) != nil else {
            throw Malformed(
                description: "an image is named like registry.example:5000/mesh/kmesh-bypass-controller:0.1.0, or with "
                    + "@sha256: and 64 digits of its digest")
        }
        description = text
    }
}

/// The name of a namespace in Kubernetes: an RFC 1123 label.
struct NamespaceName: ManifestValue {
    let description: String

    static let usual = NamespaceName(unchecked: "kmesh-system")

    private init(unchecked text: String) {
        description = text
    }

    init(_ text: String) throws(Malformed) {
        guard (try? #/[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?/#.wholeMatch(in: text)) != nil else {
            throw Malformed(
                description: "a namespace's name is of small letters, digits and hyphens, 63 at most, and begins and "
                    + "ends with a letter or digit")
        }
        description = text
    }
}

/// The number of a group that the pod is to be in.
struct GroupNumber: ManifestValue {
    let value: Int32

    /// The first number that systemd-sysusers takes, on a machine that has few other services.
    static let usual = GroupNumber(unchecked: 999)

    private init(unchecked value: Int32) {
        self.value = value
    }

    init(_ text: String) throws(Malformed) {
        guard (try? #/[0-9]{1,10}/#.wholeMatch(in: text)) != nil, let value = Int32(text) else {
            throw Malformed(
                description: "a group's number is what 'getent group kmesh' shows on a node, such as \(Self.usual)")
        }
        guard value > 0 else { throw Malformed(description: "0 is root's group, which gives more than the daemon") }
        self.value = value
    }

    var description: String { "\(value)" }
}

/// A label that a node must have.
struct NodeLabel: ManifestValue {
    let key, value: String

    init(_ text: String) throws(Malformed) {
        let grammar =
            #/
            ( (?: [a-z0-9] [a-z0-9.\-]{0,252} / )? [A-Za-z0-9] (?: [A-Za-z0-9_.\-]{0,61} [A-Za-z0-9] )? )
            = ( (?: [A-Za-z0-9] (?: [A-Za-z0-9_.\-]{0,61} [A-Za-z0-9] )? )? )
            /#
        guard let parts = try? grammar.wholeMatch(in: text) else {
            throw Malformed(
                description: "a label of nodes is KEY=VALUE as 'kubectl get nodes --show-labels' shows it, such as "
                    + "kmesh.net/bypassd=installed")
        }
        (key, value) = (String(parts.1), String(parts.2))
    }

    var description: String { "\(key)=\(value)" }
}

/// The name of a group of the cluster's users, as the API server's authenticator reports it.
struct GroupName: ManifestValue {
    let description: String

    init(_ text: String) throws(Malformed) {
        guard (try? #/[A-Za-z0-9._:@\/\-]{1,253}/#.wholeMatch(in: text)) != nil else {
            throw Malformed(
                description: "a group of users is named with letters, digits and . _ : @ / -, such as mesh-operators")
        }
        description = text
    }
}

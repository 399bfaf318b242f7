// MARK: the file (k8s.io/client-go/tools/clientcmd/api/v1)

extension Kubeconfig {
    struct File: Decodable {
        var contexts: [Context]?
        var clusters: [Cluster]?
        var users: [User]?
        var currentContext: String?

        enum CodingKeys: String, CodingKey {
            case contexts, clusters, users
            case currentContext = "current-context"
        }
    }

    struct Context: Decodable {
        var name: String
        var context: Names?

        struct Names: Decodable {
            var cluster: String?
            var user: String?
            var namespace: String?
        }
    }

    struct Cluster: Decodable {
        var name: String
        var cluster: Details?

        struct Details: Decodable {
            var server: String?
            var authority: String?
            var authorityData: String?
            var skipsVerification: Bool?
            var serverName: String?
            var proxy: String?

            enum CodingKeys: String, CodingKey {
                case server
                case authority = "certificate-authority"
                case authorityData = "certificate-authority-data"
                case skipsVerification = "insecure-skip-tls-verify"
                case serverName = "tls-server-name"
                case proxy = "proxy-url"
            }
        }

        func relative(to folder: String) -> Cluster {
            var copy = self
            copy.cluster?.authority = absolute(cluster?.authority, folder)
            return copy
        }
    }

    struct User: Decodable {
        var name: String
        var user: Details?

        struct Details: Decodable {
            var token: String?
            var tokenFile: String?
            var certificate: String?
            var certificateData: String?
            var key: String?
            var keyData: String?
            var username: String?
            var impersonated: String?
            var exec: Plugin?
            var authProvider: Ignored?

            enum CodingKeys: String, CodingKey {
                case token, tokenFile, username, exec
                case impersonated = "as"
                case certificate = "client-certificate"
                case certificateData = "client-certificate-data"
                case key = "client-key"
                case keyData = "client-key-data"
                case authProvider = "auth-provider"
            }
        }

        struct Plugin: Decodable {
            var apiVersion: String?
            var command: String?
            var args: [String]?
            var env: [Variable]?
            var interactiveMode: String?
            var provideClusterInfo: Bool?
            var installHint: String?
        }

        struct Variable: Decodable {
            var name: String
            var value: String
        }

        /// A value whose content does not matter.
        struct Ignored: Decodable {
            init(from decoder: any Decoder) throws {}
        }

        func relative(to folder: String) -> User {
            var copy = self
            copy.user?.tokenFile = absolute(user?.tokenFile, folder)
            copy.user?.certificate = absolute(user?.certificate, folder)
            copy.user?.key = absolute(user?.key, folder)
            // A name without a slash is looked up in PATH.
            if let command = user?.exec?.command, command.contains("/") {
                copy.user?.exec?.command = absolute(command, folder)
            }
            return copy
        }
    }

    fileprivate static func absolute(_ path: String?, _ folder: String) -> String? {
        path.map { $0.hasPrefix("/") ? $0 : folder + "/" + $0 }
    }
}

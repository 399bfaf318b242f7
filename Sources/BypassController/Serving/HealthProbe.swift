internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1

/// How a controller is.
public struct HealthAnswer: Sendable {
    public var isGood: Bool
    public var text: String
}

/// Asks a controller's health server.
public enum HealthProbe {
    /// An answer that cannot be had is a bad one.
    public static func ask(host: String, port: Int, _ path: String) async -> HealthAnswer {
        let authority = host.contains(":") ? "[\(host)]" : host
        var configuration = HTTPClient.Configuration()
        // Where nobody listens, nobody is waited for.
        configuration.connectionPool.retryConnectionEstablishment = false
        do {
            return try await HTTPClient.withHTTPClient(configuration: configuration) { client in
                let request = HTTPClientRequest(url: "http://\(authority):\(port)\(path)")
                let response = try await client.execute(request, timeout: .seconds(5))
                let body = try await response.body.collect(upTo: 16 * 1024 * 1024)
                return HealthAnswer(isGood: response.status == .ok, text: String(buffer: body))
            }
        } catch {
            return HealthAnswer(isGood: false, text: "no controller answers on \(authority):\(port): \(error)\n")
        }
    }
}

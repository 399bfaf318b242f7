internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1

/// Asks a controller's health server.
public enum HealthProbe {
    public struct Answer: Sendable {
        public var isGood: Bool
        public var text: String
    }

    /// An answer that cannot be had is a bad one.
    public static func ask(host: String, port: Int, _ path: String) async -> Answer {
        let authority = host.contains(":") ? "[\(host)]" : host
        do {
            let request = HTTPClientRequest(url: "http://\(authority):\(port)\(path)")
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(5))
            let body = try await response.body.collect(upTo: 16 * 1024 * 1024)
            return Answer(isGood: response.status == .ok, text: String(buffer: body))
        } catch {
            return Answer(isGood: false, text: "no controller answers on \(authority):\(port): \(error)\n")
        }
    }
}

public import StrictJSON

/// Writes the lines of requests, their LF included.
public enum RequestWriter {
    /// A client's request.
    public static func line(of request: Request) -> [UInt8] {
        var text = JSONText()
        begin(&text, id: request.id, method: request.method)
        switch request.params {
        case nil: break
        case .named(let object): text.member("params", object)
        case .positional(let values): text.member("params", values)
        }
        text.append(raw: "}\n")
        return text.finish()
    }

    /// A notification, which a server sends too.
    public static func notification(method: String, params: some JSONWritableObject) -> [UInt8] {
        var text = JSONText(capacity: 1024)
        begin(&text, id: nil, method: method)
        text.member("params", params)
        text.append(raw: "}\n")
        return text.finish()
    }

    private static func begin(_ text: inout JSONText, id: RequestID?, method: String) {
        text.append(raw: "{\"jsonrpc\":\"2.0\"")
        if let id { text.member("id", id) }
        text.member("method", method)
    }
}

import StrictJSON

/// The value of a text that has to be JSON.
func json(_ text: String, maximumDepth: Int = JSONReader.defaultDepth) throws(JSONReadError) -> JSONValue {
    try JSONReader.read(text, maximumDepth: maximumDepth)
}

/// The JSON of a value.
func text(_ value: some Encodable) throws -> String {
    try JSONEncoding.text(of: value)
}

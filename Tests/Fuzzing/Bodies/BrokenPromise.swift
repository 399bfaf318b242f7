/// What an input has shown to be wrong. Whatever traps shows itself.
public struct BrokenPromise: Error, CustomStringConvertible {
    public let description: String
}

func promise(_ isKept: Bool, _ description: @autoclosure () -> String) throws(BrokenPromise) {
    if !isKept { throw BrokenPromise(description: description()) }
}

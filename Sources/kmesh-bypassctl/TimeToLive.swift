internal import ArgumentParser
internal import BypassAPI

extension TimeToLive {
    /// As `--for` takes it.
    static func parse(_ text: String) throws -> TimeToLive {
        do throws(Malformed) {
            return try TimeToLive(text)
        } catch {
            throw ValidationError(error.description)
        }
    }
}

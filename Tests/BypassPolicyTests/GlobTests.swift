import BypassPolicy
import Testing

@Suite struct GlobTests {
    @Test(
        "A glob stands for the whole text, and no wildcard for a slash",
        arguments: [
            ("web", "web", true), ("web", "web2", false), ("web", "Web", false), ("web", "", false),
            ("web-*", "web-1", true), ("web-*", "web-", true), ("web-*", "my-web-1", false),
            ("*", "web", true), ("*", "", true), ("*", "a/b", false), ("*", "/web", false),
            ("*-db-*", "a-db-db-1", true), ("a*b*c", "aXbXbXc", true), ("a*b*c", "aXbXcX", false), ("*a", "aab", false),
            ("pod:*", "pod:3f1c", true), ("pid:*", "pod:3f1c", false),
            ("/proc/*/ns/net", "/proc/4711/ns/net", true), ("/proc/*/ns/net", "/proc/1/root/proc/2/ns/net", false),
            ("*b/c*d", "abb/ccd", true), ("*b/c*d", "ab/c/d", false), ("*/a*b", "x/acb/ab", false),
            ("w?b", "web", true), ("w?b", "wéb", true), ("w?b", "w/b", false), ("w?b", "wb", false),
            ("web-[0-9]", "web-7", true), ("web-[0-9]", "web-x", false), ("web-[!0-9]", "web-x", true),
            ("web-[!0-9]", "web-7", false), ("a[!x]b", "a/b", false), ("a[.-9]b", "a/b", false),
            ("[]x]", "]", true), ("[!]x]", "]", false), ("[a-]", "-", true), ("[-a]", "-", true), ("[[]", "[", true),
            ("[\\]]", "]", true), ("\\*", "*", true), ("\\*", "x", false), ("a\\/b", "a/b", true), ("[*?]", "*", true),
            // What Swift's == takes for the same is not the same to the kernel.
            ("caf\u{E9}", "cafe\u{301}", false), ("K", "\u{212A}", false), ("*", "a/\u{301}b", false),
        ])
    func matching(_ pattern: String, _ text: String, _ matches: Bool) throws {
        #expect(try Glob(pattern).matches(text) == matches)
    }

    @Test(
        "What has no meaning, or another one elsewhere, is refused in words",
        arguments: [
            ("", "empty"), ("[", "not closed"), ("a[bc", "not closed"), ("[]", "not closed"), ("[!]", "not closed"),
            ("[a-", "not closed"), ("a\\", "backslash"), ("[\\", "backslash"), ("[c-a]", "c-a"), ("[a/b]", "slash"),
            ("**", "**"), ("/run/**/web", "**"), ("[^a]", "[!"), ("[[:digit:]]", "named"),
        ])
    func malformed(_ pattern: String, _ word: String) throws {
        let error = try #require(throws: Glob.Malformed.self) { try Glob(pattern) }
        #expect(error.description.contains(word))
    }

    @Test("A malicious text costs no more than pattern times text", .timeLimit(.minutes(1)))
    func pathological() throws {
        let glob = try Glob(String(repeating: "*a", count: 60) + "b")
        let text = String(repeating: "a", count: 4095)
        let clock = ContinuousClock()
        // Backtracking into every run would take longer than the universe has been there.
        let time = clock.measure { #expect(!glob.matches(text)) }
        #expect(time < .seconds(5))
    }
}

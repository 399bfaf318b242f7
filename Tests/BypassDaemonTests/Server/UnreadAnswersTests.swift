import Linux
import Testing

@testable import BypassDaemon

@Suite struct UnreadAnswersTests {
    @Test("A client that reads nothing for a second is cut off only while unread answers are too many")
    func cutOff() async throws {
        let all = UnreadAnswers()
        var (large, small) = (UnreadAnswers.Share(of: all), UnreadAnswers.Share(of: all))
        large.update(to: UnreadAnswers.maxBytes)
        try await Task.sleep(for: .milliseconds(1100))
        #expect(!large.isToBeCutOff)
        small.update(to: 10)
        #expect(large.isToBeCutOff && !small.isToBeCutOff)
        // It has read something.
        large.update(to: UnreadAnswers.maxBytes - 5)
        #expect(!large.isToBeCutOff)
        let began = Instant.now
        all.waitForRoom()
        #expect(Instant.now - began > .seconds(1))
        large.update(to: 0)
        all.waitForRoom()
        #expect(!large.isToBeCutOff && !small.isToBeCutOff)
    }
}

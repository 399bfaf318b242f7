import NIOCore
import NIOEmbedded
import StrictJSON
import Testing

@testable import BypassDaemon

@Suite struct IdleTests {
    @Test("A connection on which nothing is asked is told so and closed")
    func silent() throws {
        let client = try TestClient()
        client.loop.advanceTime(by: .seconds(599))
        #expect(client.lines() == [])
        client.loop.advanceTime(by: .seconds(1))
        #expect(try limit(in: client.lines().first) == "idle-seconds")
        client.loop.advanceTime(by: .seconds(3))
        #expect(client.isClosed)
    }

    @Test("The time begins with the last answer")
    func asks() throws {
        let client = try TestClient()
        for id in 1...5 {
            client.loop.advanceTime(by: .seconds(500))
            try client.send(call("echo", id: id))
            #expect(try client.ids().count == 1)
        }
        client.loop.advanceTime(by: .seconds(599))
        #expect(!client.isClosed && client.lines() == [])
        client.loop.advanceTime(by: .seconds(1))
        #expect(try limit(in: client.lines().first) == "idle-seconds")
    }

    @Test("Blank lines ask nothing")
    func blank() throws {
        let client = try TestClient()
        for _ in 1...6 {
            client.loop.advanceTime(by: .seconds(100))
            try client.send("\n")
        }
        #expect(try limit(in: client.lines().first) == "idle-seconds")
    }

    @Test("Who waits for an answer is not idle, for however long")
    func waits() throws {
        let client = try TestClient()
        try client.send(call("slow", id: 1))
        client.loop.advanceTime(by: .hours(3))
        client.slow.finishOne()
        #expect(try client.ids() == [1])
        client.loop.advanceTime(by: .seconds(599))
        #expect(client.lines() == [])
        client.loop.advanceTime(by: .seconds(1))
        #expect(try limit(in: client.lines().first) == "idle-seconds")
    }

    @Test("A subscriber is there for what it is told, and may ask nothing")
    func exempt() throws {
        let client = try TestClient()
        try client.send(call("subscribe", id: 1))
        #expect(try client.ids() == [1])
        client.loop.advanceTime(by: .hours(3))
        #expect(!client.isClosed && client.lines() == [])
    }
}

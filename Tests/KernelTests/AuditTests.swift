import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// What the journal gets to know, in its own protocol.
    @Suite struct AuditTests {
        @Test func everyChangeAndEveryDenialIsARecord() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(others: ["stranger"]) { users in
                    let stranger = try #require(users["stranger"])
                    try await rig.withJournal { journal in
                        try await rig.start(rig.journalArguments)
                        try await rig.openSocket()
                        try await rig.on(owner: "night shift", reason: "INC-1\n\u{1B}[2J")
                        let on = try #require(try await journal.records(with: "KMESH_METHOD", "bypass on").first)
                        #expect(on["KMESH_RESULT"] == "changed")
                        #expect(on["KMESH_NETNS"] == rig.sandbox.pod)
                        #expect(
                            on["KMESH_INODE"] == "\(try await rig.sandbox.inode(of: "/run/netns/\(rig.sandbox.pod)"))")
                        #expect(on["KMESH_UID"] == "0" && on["KMESH_GID"] == "0" && on["KMESH_USER"] == "root")
                        #expect(on["KMESH_OWNER"] == "night shift")
                        #expect(on["KMESH_REASON"] == #"INC-1\n\u{1b}[2J"#)
                        #expect(on["KMESH_EXE"]?.hasPrefix("/") == true && on["KMESH_CGROUP"]?.hasPrefix("/") == true)
                        #expect(on["KMESH_PID"].flatMap { Int($0) } ?? 0 > 0)
                        #expect(on["KMESH_DURATION_USEC"].flatMap { Int($0) } ?? 0 > 0)
                        #expect(on["PRIORITY"] == "6" && on["SYSLOG_IDENTIFIER"] == "kmesh-bypassd")
                        #expect(on["MESSAGE"]?.hasPrefix("bypass on \(rig.sandbox.pod) by root (uid 0, pid ") == true)

                        let line = #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":["\#(rig.sandbox.pod)","off"]}"#
                        // A client that has ended before anybody looked has no program: this one stays for a second.
                        let client = "(echo '\(line)'; sleep 1) | socat - UNIX-CONNECT:\(rig.socket)"
                        try await rig.sandbox.run(
                            ["runuser", "--user", stranger.name, "--", "sh", "-c", client], in: .host)
                        let denial = try #require(try await journal.records(with: "KMESH_RESULT", "denied").first)
                        #expect(denial["KMESH_UID"] == "\(stranger.uid)" && denial["KMESH_USER"] == stranger.name)
                        #expect(denial["KMESH_NETNS"] == rig.sandbox.pod && denial["PRIORITY"] == "4")
                        #expect(denial["KMESH_EXE"]?.contains("socat") == true)
                        #expect(denial["MESSAGE"]?.contains("uid \(stranger.uid)") == true)
                        #expect(denial["MESSAGE_ID"] != on["MESSAGE_ID"])

                        _ = try? await rig.on("nothing-has-this-name")
                        let failure = try #require(try await journal.records(with: "KMESH_RESULT", "failed").first)
                        #expect(failure["KMESH_ERROR"]?.contains("nothing-has-this-name") == true)

                        try await rig.on(rig.sandbox.peer, ttl: 1)
                        let end = try #require(try await journal.records(with: "KMESH_METHOD", "expire").first)
                        #expect(end["KMESH_NETNS"] == rig.sandbox.peer && end["KMESH_UID"] == nil)

                        _ = try await rig.call("clear")
                        let clear = try #require(try await journal.records(with: "KMESH_METHOD", "clear").first)
                        #expect(clear["KMESH_DURATION_USEC"].flatMap { Int($0) } ?? 0 > 0)
                        // Once each: nothing of it is in the log too.
                        #expect(try await journal.records.map { $0["KMESH_METHOD"] }.count == 6)
                        #expect(try !rig.daemon.standardError.contains("night shift"))
                    }
                }
            }
        }

        /// A client can be denied, and can fail, a thousand times a second: the journal's space is everyone's.
        @Test func denialsAndFailuresAreOneRecordASecondForEachUser() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(operators: ["operator"], others: ["stranger"]) { users in
                    let (operator_, stranger) = (try #require(users["operator"]), try #require(users["stranger"]))
                    try await rig.withJournal { journal in
                        try await rig.start(rig.journalArguments)
                        try await rig.openSocket()
                        func line(_ name: String, _ state: String) -> String {
                            #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":["\#(name)","\#(state)"]}"#
                        }
                        let calls = 900
                        for (user, result) in [(stranger, "denied"), (operator_, "failed")] {
                            let lines = (1...calls).map { line("none-\($0)", "on") }
                            let began = ContinuousClock.now
                            #expect(try await rig.lines(as: user, lines).count == calls)
                            let seconds = Int((ContinuousClock.now - began).components.seconds)
                            var records: [[String: String]] = []
                            try await eventually("all calls are counted") {
                                records = try await journal.records.filter { $0["KMESH_UID"] == "\(user.uid)" }
                                return records.reduce(0) { $0 + (Int($1["KMESH_TIMES"] ?? "1") ?? 0) } == calls
                            }
                            #expect(records.allSatisfy { $0["KMESH_RESULT"] == result })
                            #expect(records.count <= seconds + 3, "\(records.count) records of \(calls) calls")
                            #expect(records.first?["KMESH_NETNS"] == "none-1" && records.first?["KMESH_TIMES"] == nil)
                            #expect(records.last?["KMESH_NETNS"] == "none-\(calls)")
                            #expect(records.last?["MESSAGE"]?.contains(", the last of ") == true)
                        }
                        // What was changed is never folded.
                        let flips = (1...20).flatMap { _ in ["on", "off"].map { line(rig.sandbox.pod, $0) } }
                        #expect(try await rig.lines(as: operator_, flips).count == 40)
                        try await eventually("each change is a record") {
                            try await journal.records.count { $0["KMESH_RESULT"] == "changed" } == 40
                        }
                    }
                }
            }
        }

        /// A record that cannot be sent is a line in the log.
        @Test func aJournalThatIsGoneLosesNothing() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.start(rig.journalArguments)
                try await rig.on(owner: "night shift")
                try await eventually("the change is logged") {
                    try rig.daemon.standardError.contains(#"owner="night shift""#)
                }
                // It comes back, with another socket of the same name.
                for _ in 0..<2 {
                    try await rig.withJournal { journal in
                        try await rig.off()
                        _ = try await journal.records(with: "KMESH_METHOD", "bypass off")
                        try await rig.on()
                        _ = try await journal.records(with: "KMESH_METHOD", "bypass on")
                    }
                }
            }
        }
    }
}

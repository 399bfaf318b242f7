import JSONRPC
import Linux
import MeshSandbox
import StrictJSON
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// Each system call of each operation fails, one after the other.
    @Suite struct FaultTests {
        /// All of them with Tests/run.sh --crash: to take every call with each takes its time.
        private static let errors: [Errno] =
            [.noMemory, .interrupted]
            + (CrashTests.isThorough
                ? [.noBufferSpace, .resourceBusy, .noSpace, .notPermitted, .tooManyOpenFiles] : [])

        /// What is asked of the daemon, and what was so before.
        enum Operation: String, CaseIterable {
            case on, off, change, extend, status, explain, list, clear

            func prepare(_ rig: Rig) async throws {
                switch self {
                case .on: try await rig.off()
                case .off, .change, .status, .explain, .list, .clear: try await rig.on(owner: "before")
                case .extend: try await rig.on(ttl: 100, owner: "before")
                }
            }

            func call(_ rig: Rig) async throws {
                switch self {
                case .on: try await rig.on(owner: "after")
                case .off: try await rig.off()
                case .change: try await rig.on(direction: "inbound", owner: "after")
                case .extend: try await rig.extend(ttl: 1000)
                case .status: try await rig.status()
                case .explain: _ = try await rig.explain(.outbound, .ipv4)
                case .list: _ = try await rig.list()
                case .clear:
                    // What is not cleared is reported, and is not an error.
                    let failed = try await rig.call("clear").object?["failed"]?.array ?? []
                    if let first = failed.first {
                        throw ErrorObject(code: 0, message: first.object?["message"]?.string ?? "")
                    }
                }
            }

            /// How connections go once it was carried out.
            var paths: Paths {
                switch self {
                case .off, .clear: .sidecar
                case .change: .bypassed("inbound")
                default: .app
                }
            }
        }

        /// What belongs to getting a connection: a client whose connection fails gets no answer.
        private static let welcoming = [
            "accept", "poll", "getsockopt", "fcntl", "read", "open", "pidfd", "close", "eventfd", "readlink",
            "pthread_create", "recv from the client", "send to the client",
        ]

        @Test(arguments: Operation.allCases)
        func afterAnErrorNothingHasChangedAndTheDaemonGoesOn(_ operation: Operation) async throws {
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                var (answers, refusals, silences) = (0, 0, 0)
                for error in Self.errors {
                    var number = 0
                    while true {
                        try await operation.prepare(rig)
                        let before = try await Facts(rig)
                        faults.plan.arm(.fail(error), skip: number)
                        let outcome = await Outcome { try await operation.call(rig) }
                        let (injected, last) = (faults.plan.injected > 0, faults.plan.last)
                        faults.plan.disarm()
                        guard injected else { break }
                        let place: Comment = "\(error) at call \(number), \(last)"
                        switch outcome {
                        case .answered:
                            answers += 1
                            #expect(try await rig.sandbox.paths == operation.paths, place)
                            #expect(try await rig.list().count == (operation.paths == .sidecar ? 0 : 1), place)
                        case .refused(let message):
                            refusals += 1
                            #expect(error != .interrupted, place)
                            #expect(try await Facts(rig) == before, place)
                            #expect(!message.isEmpty, place)
                        case .silent:
                            silences += 1
                            #expect(Self.welcoming.contains { last.hasPrefix($0) }, place)
                        }
                        number += 1
                    }
                    #expect(number >= 15)
                }
                // What cannot be looked at is in a list all the same.
                let mayRefuse = operation != .list
                #expect(
                    answers > 0 && (refusals > 0) == mayRefuse,
                    "\(answers) answers, \(refusals) refusals, \(silences) silences")
                #expect(try await rig.off().state == "off")
                // A probe's table that could not be removed goes with its socket, which is closed a moment later.
                try await eventually("nothing is left") { try await Leftovers.scan(rig.sandbox.pod) == [] }
                #expect(try await rig.entries == 0)
            }
        }

        /// A daemon that cannot start says so, and one that can reports what is on.
        @Test func aStartThatIsHinderedLosesNoBypass() async throws {
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.sandbox.install(.iptables)
                try await rig.start(environment: faults.environment)
                let on = try await rig.on(direction: "outbound", owner: "alice")
                for error in [Errno.noMemory, .notPermitted] {
                    var number = 0
                    while true {
                        try? rig.daemon.kill(9)
                        _ = try? await rig.daemon.exit()
                        faults.plan.arm(.fail(error), skip: number)
                        let place: Comment = "\(error) at call \(number)"
                        do {
                            try await rig.start(environment: faults.environment)
                            _ = try? await rig.subscribe()
                            if faults.plan.injected == 0 { break }
                            faults.plan.disarm()
                            #expect(try await rig.list().map(\.owner) == ["alice"], place)
                        } catch let failure as DaemonProcess.NotServing {
                            #expect(failure.standardError.contains("kmesh-bypassd: "), place)
                        }
                        faults.plan.disarm()
                        #expect(try await rig.sandbox.paths == .bypassed("outbound"), place)
                        number += CrashTests.isThorough ? 1 : 5
                    }
                    #expect(number > 40)
                }
                faults.plan.disarm()
                #expect(try await rig.list().map(\.generation) == [on.generation])
            }
        }

        /// Messages of the kernel's that are cut off, say no, or do not fit together: nothing is taken for what it is not.
        @Test(arguments: [
            FaultInjection.Fault.cut, .refuse(.noMemory), .refuse(.resourceBusy), .interrupt, .breakOff(.noBufferSpace),
        ])
        func aReplyThatIsNoneChangesNothing(_ fault: FaultInjection.Fault) async throws {
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                for operation in Operation.allCases {
                    var number = 0
                    while true {
                        try await operation.prepare(rig)
                        let before = try await Facts(rig)
                        faults.plan.arm(fault, skip: number)
                        let outcome = await Outcome { try await operation.call(rig) }
                        let (injected, last) = (faults.plan.injected > 0, faults.plan.last)
                        faults.plan.disarm()
                        guard injected else { break }
                        let place: Comment = "\(operation) with reply \(number), \(last)"
                        if case .answered = outcome {
                            #expect(try await rig.sandbox.paths == operation.paths, place)
                        } else {
                            #expect(try await Facts(rig) == before, place)
                        }
                        number += 1
                    }
                }
                #expect(try await rig.off().state == "off")
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        @Test(arguments: errors)
        func whatFailsAtAnEndIsDoneWithTheNextLook(_ error: Errno) async throws {
            try await Rig.withoutDaemon(["--check-interval", "1"]) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                let subscriber = try await rig.subscribe()
                try await rig.on(ttl: 1)
                #expect(try await subscriber.next().name == "on")
                faults.plan.arm(.fail(error), at: "send: nf_tables batch", times: 2)
                try await eventually("the rules are gone") { try await rig.sandbox.rules == before }
                #expect(faults.plan.injected == 2)
                #expect(try await subscriber.next().name == "expired")
                #expect(try await rig.entries == 0)
            }
        }

        /// The owner may not have heard of it.
        @Test func aCallThatFailsDoesNotHideThatABypassHasExpired() async throws {
            try await Rig.withoutDaemon { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                func expired() async throws -> String? {
                    let status = try await rig.call("status", [.string(rig.sandbox.pod)]).object
                    return status?["expired"]?.object?["owner"]?.string
                }
                try await rig.on(ttl: 1, owner: "web")
                try await eventually("it has expired") { try await rig.entries == 0 }
                #expect(try await expired() == "web")
                faults.plan.arm(.fail(.notPermitted), at: "send: nf_tables batch", times: .max)
                await #expect(throws: ErrorObject.self) { try await rig.on(owner: "another") }
                faults.plan.disarm()
                #expect(try await expired() == "web")
                #expect(try await rig.daemon.terminate() == .code(0))
                try await rig.start()
                #expect(try await expired() == "web")
                try await rig.on(owner: "another")
                try await rig.off()
                #expect(try await expired() == nil)
                #expect(try await rig.daemon.terminate() == .code(0))
                try await rig.start()
                #expect(try await expired() == nil)
            }
        }
    }
}

/// What came of a call.
private enum Outcome {
    case answered
    case refused(String)
    /// The connection ended without an answer.
    case silent

    init(_ call: () async throws -> Void) async {
        do {
            try await call()
            self = .answered
        } catch let error as ErrorObject {
            self = .refused(error.message)
        } catch {
            self = .silent
        }
    }
}

/// What must be the same after a call that was refused.
private struct Facts: Equatable {
    private let ways: Paths
    private let bypasses: [[String]]
    private let entries: Int

    init(_ rig: Rig) async throws {
        ways = try await rig.sandbox.paths
        // Handles of rules that had to be made again are others.
        bypasses = try await rig.list().map { bypass in
            [
                bypass.netns, bypass.state, bypass.direction ?? "", bypass.owner ?? "", bypass.since ?? "",
                "\(bypass.generation)", "\(bypass.rules.count)",
            ]
        }
        entries = try await rig.entries
    }
}

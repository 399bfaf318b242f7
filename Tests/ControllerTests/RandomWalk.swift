import ControllerTestSupport
import Linux
import StrictJSON
import TestSupport

/// A node on which one thing after another changes or fails, as a seed says. After it is repaired, what is desired, what is
/// and what is reported have to become equal by themselves.
struct RandomWalk {
    private let it: ControllerRig
    private let fleet: Fleet
    private let seed: UInt64
    private var random: SplitMix
    /// The last steps, for the message.
    private var trace: [String] = []
    private var isControllerUp = true
    private var isServerUp = true
    private var hasWrittenAuthority = true

    init(_ it: ControllerRig, _ fleet: Fleet, seed: UInt64) {
        self.it = it
        self.fleet = fleet
        self.seed = seed
        random = SplitMix(seed: seed)
    }

    /// Takes so many steps, and has everything come to rest after the last one and now and then.
    mutating func run(steps: Int, restingEvery interval: Int = 50) async throws {
        for number in 1...steps {
            let step = random.pick(Self.steps)
            do {
                try await take(step)
            } catch {
                throw failure("step \(number), \(step): \(error)")
            }
            // Mostly faster than anything is reconciled, and sometimes long enough for it.
            let pause = random.next(below: 10) == 0 ? 400 : 20
            try await Task.sleep(for: .milliseconds(random.next(below: pause)))
            if number % interval == 0 || number == steps { try await rest(number) }
        }
    }

    // MARK: steps

    private enum Step: String {
        // What users, kubelets and other clients of the daemon do.
        case label, unlabel, annotate, limit, crash, initialize, recreate, delete, turnOff
        // An API server.
        case permit, admit, overload, fail, cutWatch, compact, restartServer, stopServer, changeCertificate
        // The programs.
        case killController, restartController, killDaemon
    }

    private static let weights: [(step: Step, weight: Int)] = [
        (.label, 16), (.unlabel, 10), (.annotate, 10), (.limit, 3), (.crash, 5), (.initialize, 5), (.recreate, 2),
        (.delete, 3), (.permit, 5), (.admit, 5), (.overload, 3), (.fail, 6), (.cutWatch, 5), (.compact, 2),
        (.restartServer, 2), (.stopServer, 2), (.changeCertificate, 2), (.killController, 2), (.turnOff, 3),
        (.restartController, 1), (.killDaemon, 1),
    ]

    /// Each as often as its weight says.
    private static let steps = weights.flatMap { Array(repeating: $0.step, count: $0.weight) }

    private mutating func take(_ step: Step) async throws {
        let number = random.next(below: fleet.names.count)
        let name = fleet.names[number]
        trace = trace.suffix(39) + ["\(step.rawValue) \(name)"]
        let server = it.server
        switch step {
        case .label: server.label(name)
        case .unlabel: server.label(name, nil)
        case .annotate: server.annotate(name, annotations())
        case .limit: server.annotate(name, ["kmesh.net/bypass-ttl": random.pick(["1s", "2s", "1h", .null])])
        case .crash: server.patch(name, Self.nativeSidecar(isRunning: random.next(below: 2) == 0))
        case .initialize: server.patch(name, Self.initialized(random.next(below: 3) > 0))
        case .recreate: try await fleet.recreateSandbox(number, it)
        case .delete: if server.pod(name) == nil { fleet.put(number, it) } else { server.delete(name) }
        case .turnOff:
            // Between two sandboxes there is none.
            _ = try? await it.rig.off("pod:" + fleet.uids[number])
        case .permit:
            let all = APIServer.Permission.allCases
            server.allow(only: random.next(below: 2) == 0 ? Set(all) : [random.pick(all)])
        case .admit:
            let denials: [APIServer.Denial?] = [
                nil, nil, .init(422, "Invalid", "denied request: no"), .init(403, "Forbidden", "denied request: no"),
                .init(400, "BadRequest", "a webhook says no"),
            ]
            let denial = random.pick(denials)
            server.admit { _ in denial }
        case .overload: server.fail(.statusWithRetry(429, seconds: 1), times: 1 + random.next(below: 3))
        case .fail: server.fail(random.pick(Self.faults), times: 1 + random.next(below: 3)) { !$0.isWatch }
        case .cutWatch: server.failWatch(after: random.next(below: 3), random.pick(Self.watchFaults))
        case .compact: server.compact()
        case .restartServer: if isServerUp { try await server.restart() }
        case .stopServer:
            if isServerUp { await server.stop() } else { try await server.start() }
            isServerUp.toggle()
        case .changeCertificate: try await changeCertificate()
        case .killController:
            if isControllerUp { await it.kill(9) } else { try await it.start(waits: false) }
            isControllerUp.toggle()
        case .restartController:
            if isControllerUp { await it.kill(15) }
            try await it.start(waits: false)
            isControllerUp = true
        case .killDaemon: try await it.restartDaemon()
        }
    }

    private mutating func annotations() -> JSONValue {
        random.pick([
            ["kmesh.net/bypass-direction": "inbound"], ["kmesh.net/bypass-direction": "outbound"],
            ["kmesh.net/bypass-direction": .null], ["kmesh.net/bypass-direction": "up"],
            ["kmesh.net/bypass-ports": "8080,9000-9100"], ["kmesh.net/bypass-ports": .null],
            ["kmesh.net/bypass-ports": "http"], ["kmesh.net/bypass-networks": "10.0.0.0/8"],
            ["kmesh.net/bypass-networks": .null], ["kmesh.net/bypass-reason": "INC-4711"],
        ])
    }

    private static let faults: [FaultScript.Fault] = [
        .drop, .delay(50), .garbage, .status(500, "InternalError", "etcd"), .status(503, "ServiceUnavailable", "no"),
        .status(409, "Conflict", "the object has been modified"), .statusWithRetry(503, seconds: 1),
    ]

    private static let watchFaults: [FaultScript.WatchFault.Kind] = [
        .cut, .end, .garbage, .error(410, "Expired"), .error(500, "InternalError"),
    ]

    private static func initialized(_ isInitialized: Bool) -> JSONValue {
        // All init containers run again where the kubelet makes another sandbox.
        [
            "status": [
                "phase": isInitialized ? "Running" : "Pending",
                "conditions": [["type": "Initialized", "status": isInitialized ? "True" : "False"]],
            ]
        ]
    }

    /// As the kubelet reports one that crashes: the condition Initialized stays as it was.
    private static func nativeSidecar(isRunning: Bool) -> JSONValue {
        let state: JSONValue =
            isRunning ? ["running": [:]] : ["waiting": ["reason": "CrashLoopBackOff"]]
        return [
            "spec": ["initContainers": [["name": "istio-proxy", "restartPolicy": "Always"]]],
            "status": [
                "initContainerStatuses": [
                    ["name": "istio-proxy", "started": isRunning ? true : false, "state": state]
                ]
            ],
        ]
    }

    private mutating func changeCertificate() async throws {
        if hasWrittenAuthority {
            try it.changeCertificate()
            if isServerUp { try await it.server.restart() }
        } else {
            try it.writeAuthority()
        }
        hasWrittenAuthority.toggle()
    }

    // MARK: rest

    /// Ends every fault, and waits until desired, actual and reported state are equal. Nothing that runs is restarted.
    private mutating func rest(_ number: Int) async throws {
        it.server.endFaults()
        it.server.allow(only: Set(APIServer.Permission.allCases))
        it.server.admit(by: nil)
        if !hasWrittenAuthority { try await changeCertificate() }
        if !isServerUp { try await it.server.start() }
        if !isControllerUp { try await it.start(waits: false) }
        (isServerUp, isControllerUp) = (true, true)
        trace.append("all is repaired")
        var found: [String] = []
        do {
            // The longest delay of a retry is a minute.
            try await eventually("rest", within: .seconds(90)) {
                found = try await discrepancies()
                return found.isEmpty
            }
        } catch is UnmetExpectation {
            throw failure("after \(number) steps: \(found.joined(separator: "; "))\n\(it.log.suffix(6000))")
        }
    }

    private func failure(_ what: String) -> UnmetExpectation {
        UnmetExpectation(description: "KMESH_SEED=\(seed): \(what)\nsteps: \(trace.joined(separator: ", "))")
    }

    private func discrepancies() async throws -> [String] {
        let bypasses = Dictionary(grouping: try await it.rig.list()) { $0.owner ?? "" }
        return fleet.names.enumerated().compactMap { number, name in
            let own = bypasses["kubernetes:default/\(name)/\(fleet.uids[number])"] ?? []
            let status = it.server.annotation("kmesh.net/bypass-status", of: name)
            let pod = it.server.pod(name)
            if Self.isAsDesired(pod, own, status) { return nil }
            let bypass = own.map { "\($0.state) \($0.direction ?? "") \($0.only) \($0.expiresAt ?? "")" }
            let object = pod.flatMap { try? JSONEncoding.text(of: $0) } ?? "deleted"
            return "\(name) is bypassed \(bypass) and \(object)"
        }
    }

    private static func isAsDesired(_ pod: JSONValue?, _ bypasses: [BypassAnswer], _ status: String?) -> Bool {
        guard let metadata = pod?["metadata"], metadata["labels"]?["kmesh.net/bypass"]?.string == "enabled" else {
            return bypasses.isEmpty && (status == nil || status?.hasPrefix("expired ") == true)
        }
        guard bypasses.count <= 1 else { return false }
        let bypass = bypasses.first
        let annotations = metadata["annotations"]
        let direction = annotations?["kmesh.net/bypass-direction"]?.string ?? "both"
        let ports = annotations?["kmesh.net/bypass-ports"]?.string
        if direction == "up" || ports == "http" {
            return status?.contains(bypass == nil ? "refused: annotation" : ", unchanged: annotation") == true
        }
        let on = bypass?.expiresAt.map { "on until \($0)" } ?? "on"
        guard pod?["status"]?["phase"]?.string == "Running" else {
            // The expiry of a bypass that was lost may follow.
            guard bypass == nil else { return status == on }
            return status?.hasPrefix("waiting: its init containers have not finished") == true
        }
        guard let bypass, bypass.state == "on", bypass.direction == direction, status == on else { return false }
        let networks = annotations?["kmesh.net/bypass-networks"]?.string
        return (bypass.only["ports"] == nil) == (ports == nil) && (bypass.only["networks"] == nil) == (networks == nil)
            && bypass.reason == annotations?["kmesh.net/bypass-reason"]?.string
    }
}

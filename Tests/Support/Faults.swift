#if FAULT_POINTS
    package import Linux
    internal import MeshSandbox

    /// A file in which a test plans what system calls of the daemon do; for one rig.
    package struct Faults: Sendable {
        package let plan: FaultInjection
        let path: String

        /// Variables for the daemon.
        package var environment: [String: String] { ["KMESH_FAULTS": path] }

        package init(in folder: String) throws {
            path = folder + "/faults"
            try Files.write(Array(repeating: 0, count: FaultInjection.size), to: path)
            guard let plan = FaultInjection(path: path) else {
                throw UnmetExpectation(description: "\(path) cannot be mapped")
            }
            self.plan = plan
        }
    }
#endif

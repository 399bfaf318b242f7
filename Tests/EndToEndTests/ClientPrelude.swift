import MeshSandbox
import TestSupport

/// What programs of the tests have in common that play many clients at once.
enum ClientPrelude {
    /// Python: runs `body` in a child, which fails if that throws.
    static let fork = """
        def fork(body):
            child = os.fork()
            if child: return child
            try:
                body()
                sys.stdout.flush()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        """

    /// Python, to which a program is added. It has `path`, `pod` and `args` from its arguments.
    static let text = """
        import ctypes, json, os, re, resource, select, signal, socket, struct, subprocess, sys, threading, time, traceback
        path, pod, args = sys.argv[1], sys.argv[2], sys.argv[3:]
        os.setgroups([])
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))

        def line(method, params=[], id=1):
            return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode() + b"\\n"

        class Client:
            # The daemon sees who a process is when it connects. Not while another thread connects.
            def __init__(self, uid=0, to=None):
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.settimeout(15)
                os.setegid(uid)
                os.seteuid(uid)
                try:
                    self.socket.connect(to or path)
                finally:
                    os.seteuid(0)
                    os.setegid(0)
                self.file = self.socket.makefile("rb")
            def send(self, method, *params, id=1):
                self.socket.sendall(line(method, params, id))
            def answer(self):
                text = self.file.readline()
                return json.loads(text) if text else None
            def call(self, method, *params):
                self.send(method, *params)
                return self.answer()
            def close(self):
                self.file.close()
                self.socket.close()

        \(fork)

        def wait(children):
            failed = [child for child in children if os.waitpid(child, 0)[1]]
            assert not failed, "a client failed"

        def status(pid, name):
            return int(re.search(name + r":\\s+(\\d+)", open("/proc/%d/status" % pid).read()).group(1))

        def descriptors(pid):
            return len(os.listdir("/proc/%d/fd" % pid))

        def nft(name, rules):
            subprocess.run(["ip", "netns", "exec", name, "nft", "-f", "-"], input=rules, text=True, check=True)

        def crowd(count):
            # What another program's rules are: a chain of the nat table's kind.
            head = "table ip foreign { chain out { type nat hook output priority -90; }; }\\n"
            return head + "".join("add rule ip foreign out ip daddr 10.1.%d.%d tcp dport 80 return\\n" % divmod(n, 250) for n in range(count))

        def report(*words):
            # In one write: several clients may print at the same time.
            os.write(1, (" ".join(map(str, words)) + "\\n").encode())

        def median(times):
            return sorted(times)[len(times) // 2]

        """
}

extension Rig {
    /// Runs a Python program that begins with the prelude, and returns the lines that it prints.
    ///
    /// - Parameter limit: in seconds, for the whole program.
    func clients(_ program: String, _ arguments: [String] = [], within limit: Int = 20) async throws -> [String] {
        let output = try await sandbox.run(
            ["timeout", "\(limit)", "python3", "-", socket, sandbox.pod] + arguments, in: .host,
            input: ClientPrelude.text + program)
        return output.split(separator: "\n").map(String.init)
    }
}

/// A method, who called it, and how long its answers took in milliseconds, as a program prints them.
struct Latency: CustomStringConvertible {
    let name: String
    let median: Double
    let p99: Double

    init(_ line: String) throws {
        let words = line.split(separator: " ").map(String.init)
        guard words.count > 2, let median = Double(words[words.count - 2]), let p99 = Double(words[words.count - 1])
        else { throw ContractViolation(description: "no latency: \(line)") }
        (name, self.median, self.p99) = (words.dropLast(2).joined(separator: " "), median, p99)
    }

    var description: String { "\(name): median \(median) ms, p99 \(p99) ms" }
}

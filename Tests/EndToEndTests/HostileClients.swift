import MeshSandbox
import TestSupport

/// Clients that mean no good, as processes of their own and of other users, and one that does, beside them.
enum HostileClients {
    /// What each of them does; the words are the program's.
    static let kinds = ["crowd", "slow", "deaf", "long", "flood", "cut"]

    /// What the daemon used meanwhile, and how long the client that does no harm waited for an answer.
    struct Report: CustomStringConvertible {
        let median: Double
        let p99: Double
        let longest: Double
        /// Of a new user's connection, from its beginning to its first answer.
        let longestWelcome: Double
        let calls: Int
        /// In bytes.
        let peakMemory: Int
        let mostDescriptors: Int

        /// From the line that the program prints.
        init(_ line: String) throws {
            let numbers = line.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
            guard numbers.count == 7 else { throw ContractViolation(description: "no report: \(line)") }
            (median, p99, longest, longestWelcome) = (numbers[0], numbers[1], numbers[2], numbers[3])
            (calls, peakMemory, mostDescriptors) = (Int(numbers[4]), Int(numbers[5]) * 1024, Int(numbers[6]))
        }

        var description: String {
            "answers to \(calls) calls: median \(median) ms, p99 \(p99) ms, max \(longest) ms; a new user's first answer:"
                + " max \(longestWelcome) ms; at most \(peakMemory >> 20) MiB, \(mostDescriptors) descriptors"
        }
    }

    /// Runs the kinds of clients that are named, all at once, until each has done what it does.
    static func run(_ kinds: [String], against rig: Rig) async throws -> Report {
        // They are not in the group that may connect, if there is one.
        try await rig.sandbox.run(["chmod", "755", rig.folder.path], in: .host)
        try await rig.sandbox.run(["chmod", "666", rig.socket], in: .host)
        let pid = try rig.daemon.pid
        let output = try await rig.sandbox.run(
            ["timeout", "120", "python3", "-", rig.socket, "\(pid)"] + kinds, in: .host, input: program)
        return try Report(output)
    }

    /// Each client is a process of its own. A kind of client ends with a failure if the daemon does not treat it as it
    /// should.
    private static let program = """
        import os, re, resource, select, socket, sys, time, traceback
        path, pid, kinds = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
        ask = b'{"jsonrpc":"2.0","id":1,"method":"info"}\\n'
        os.setgroups([])
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))

        def connect(uid):
            # The daemon sees who a process is when it connects.
            s = socket.socket(socket.AF_UNIX)
            os.setegid(uid)
            os.seteuid(uid)
            try:
                s.connect(path)
            finally:
                os.seteuid(0)
                os.setegid(0)
            s.settimeout(20)
            return s

        def expect_limit(s, limit):
            line = s.makefile('rb').readline()
            assert b'"limit":"%s"' % limit in line, line

        def crowd():
            # A thousand connections of twenty users, who come again as soon as they are turned away.
            poll, held = select.poll(), {}
            def join(uid):
                s = connect(uid)
                poll.register(s, select.POLLIN)
                held[s.fileno()] = (s, uid)
            for n in range(1000): join(5000 + n % 20)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                for number, _ in poll.poll(100):
                    s, uid = held.pop(number)
                    poll.unregister(number)
                    expect_limit(s, b'connections')
                    s.close()
                    join(uid)

        def slow():
            # A byte at a time.
            held = [connect(5100) for _ in range(60)]
            for byte in ask:
                for s in held: s.sendall(bytes([byte]))
                time.sleep(0.03)
            for s in held: assert b'"id":1,' in s.makefile('rb').readline()

        def deaf():
            # Who asks for much and reads nothing is cut off.
            batch = b'[' + b','.join([ask[:-1].replace(b'info', b'rpc.discover')] * 64) + b']\\n'
            poll, held = select.poll(), {}
            for uid, question in [(0, batch)] * 25 + [(5200, batch)] * 25:
                s = connect(uid)
                s.setblocking(False)
                poll.register(s, select.POLLOUT)
                held[s.fileno()] = (s, question)
            end = time.monotonic() + 15
            while held:
                assert time.monotonic() < end, 'not cut off'
                for number, event in poll.poll(100):
                    s, question = held[number]
                    try:
                        s.send(question)
                    except BlockingIOError:
                        continue
                    except OSError:
                        poll.unregister(number)
                        held.pop(number)[0].close()

        def long():
            for _ in range(3):
                held = [connect(5300) for _ in range(30)]
                for s in held: s.sendall(b'"' + b'x' * 1_000_000)
                for s in held: expect_limit(s, b'line')

        def flood():
            # As many requests as fast as they are taken; fewer beside others, who are done sooner.
            count, answered, limited, rest = 100_000 if len(kinds) == 1 else 25_000, 0, 0, b''
            text = b''.join(ask.replace(b':1,', b':%d,' % n) for n in range(count))
            s, sent, begun = connect(5400), 0, time.monotonic()
            s.setblocking(False)
            while answered < count:
                select.select([s], [s] if sent < len(text) else [], [], 20)
                if sent < len(text):
                    try: sent += s.send(text[sent:sent + 65536])
                    except BlockingIOError: pass
                try: data = s.recv(1 << 20)
                except BlockingIOError: continue
                assert data, 'closed'
                *lines, rest = (rest + data).split(b'\\n')
                for line in lines:
                    assert b'"id":%d,' % answered in line, line
                    answered += 1
                    limited += b'"requests-per-second"' in line
            most = 1000 * (2 + time.monotonic() - begun)
            assert count - limited <= most, '%d of %d' % (count - limited, most)

        def cut():
            for length in range(len(ask) + 1):
                for end in ('close', 'shutdown', 'reset'):
                    s = connect(5500)
                    s.sendall(ask[:length])
                    if end == 'shutdown':
                        s.shutdown(socket.SHUT_WR)
                        answer = s.makefile('rb').read()
                        assert answer.count(b'\\n') == (length > 0), (length, answer)
                    if end == 'reset' and length == len(ask):
                        # Closed with an answer unread.
                        s.recv(1)
                    s.close()

        def watch(stop):
            # A client as it should be, and the daemon's use of memory and descriptors.
            held, calls, welcomes, descriptors = connect(4999), [], [], 0
            answers = held.makefile('rb')
            while not select.select([stop], [], [], 0.003)[0]:
                begun = time.monotonic()
                held.sendall(ask)
                assert b'"id":1,' in answers.readline(), 'the connection was ended'
                calls.append(time.monotonic() - begun)
                if len(calls) % 20: continue
                descriptors = max(descriptors, len(os.listdir('/proc/%d/fd' % pid)))
                begun = time.monotonic()
                with connect(4998) as new:
                    new.sendall(ask)
                    line = new.makefile('rb').readline()
                    assert b'"id":1,' in line, line
                welcomes.append(time.monotonic() - begun)
            status = open('/proc/%d/status' % pid).read()
            calls.sort()
            times = calls[len(calls) // 2], calls[len(calls) * 99 // 100], calls[-1], max(welcomes, default=0)
            peak = int(re.search(r'VmHWM:\\s+(\\d+)', status).group(1))
            print(*('%.2f' % (1000 * t) for t in times), len(calls), peak, descriptors)

        \(ClientPrelude.fork)

        def wait(children):
            return [code for code in (os.waitpid(child, 0)[1] for child in children) if code]

        def attack(kind):
            # Many kinds at once take each other's room: who is turned away comes again.
            end = time.monotonic() + 6
            while True:
                try:
                    return globals()[kind]()
                except (AssertionError, OSError):
                    if len(kinds) == 1: raise
                    if time.monotonic() > end: return

        stop, going = os.pipe()
        watcher = fork(lambda: (os.close(going), watch(stop)))
        failed = wait([fork(lambda: attack(kind)) for kind in kinds])
        os.close(going)
        sys.exit(len(failed + wait([watcher])))
        """
}

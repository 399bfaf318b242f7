#!/usr/bin/env python3
"""Measures what attacks cost others: `sudo Tests/attacks.py .build-release/release/kmesh-bypassd`.

Runs each attack of a pod's root, or of a user, against the given daemon, and prints for each how long a `status` of
another namespace takes meanwhile (p50, p99, longest) and the daemon's peak resident memory. The daemon has a socket, a
BPF file system, a policy and a state folder of its own.
"""
import contextlib, json, os, re, signal, socket, subprocess, sys, tempfile, textwrap, threading, time

CALLS = 200
SECONDS = 20  # of each attack, at most
here = os.path.dirname(os.path.abspath(__file__))
prefix = f"kba-{os.getpid()}-"
source = open(here + "/Support/RawRuleset.swift").read()
library = textwrap.dedent(re.search(r'static let library = """\n(.*?)\n\s*"""\n', source, re.S).group(1))


def run(*command, text=""):
    return subprocess.run(command, input=text, text=True, check=True, capture_output=True).stdout


def inside(netns, *command, text=""):
    return run("nsenter", f"--net=/run/netns/{netns}", "--", *command, text=text)


@contextlib.contextmanager
def background(netns, program):
    enter = ["nsenter", f"--net=/run/netns/{netns}", "--", "python3", "-c", library + program]
    process = subprocess.Popen(enter, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Daemon:
    def __init__(self, program, folder):
        self.socket, self.folder = folder + "/socket", folder
        os.mkdir(folder + "/bpf")
        run("mount", "-t", "bpf", "bpf", folder + "/bpf")
        with open(folder + "/policy.toml", "w") as policy:
            policy.write('[[grant]]\nusers = [4242]\nrole = "bypass"\n')
        self.log = open(folder + "/log", "w")
        self.process = None
        try:
            self.process = subprocess.Popen(
                [program, "--socket", self.socket, "--bpffs", folder + "/bpf", "--state-dir", folder + "/state",
                 "--policy", folder + "/policy.toml", "--max-user-connections", "200"], stderr=self.log)
            while not self.answers():
                if self.process.poll() is not None: sys.exit(f"the daemon does not run: {open(self.log.name).read()}")
                time.sleep(0.02)
        except BaseException:
            self.end()
            raise
        os.chmod(folder, 0o711)
        os.chmod(self.socket, 0o666)

    def answers(self):
        try: return "result" in self.call("info")
        except OSError: return False

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.socket)
        return client

    def call(self, method, *parameters):
        with self.connect() as client: return self.ask(client, method, *parameters)

    @staticmethod
    def ask(client, method, *parameters):
        client.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = client.recv(1 << 20)
            if not part: raise ConnectionError("closed")
            answer += part
        return json.loads(answer)

    def peak(self):
        status = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024

    def reset_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as file: file.write("5")

    def stop(self):
        try: self.call("clear")
        finally: self.end()

    def end(self):
        if self.process:
            self.process.terminate()
            try: self.process.wait(30)
            except subprocess.TimeoutExpired:
                print("the daemon does not stop: it is killed", file=sys.stderr)
                self.process.kill()
                self.process.wait()
        run("umount", "--lazy", self.folder + "/bpf")


@contextlib.contextmanager
def namespaces(count):
    names = [f"{prefix}{index}" for index in range(count)]
    try:
        for name in names: run("ip", "netns", "add", name)
        yield names
    finally:
        for name in names: subprocess.run(["ip", "netns", "delete", name], capture_output=True)


@contextlib.contextmanager
def again_and_again(*calls):
    """Each call in a thread of its own, until the end."""
    ended = threading.Event()

    def work(call):
        while not ended.is_set():
            try: call()
            except OSError: time.sleep(0.01)

    threads = [threading.Thread(target=work, args=(call,), daemon=True) for call in calls]
    for thread in threads: thread.start()
    try: yield
    finally:
        ended.set()
        for thread in threads: thread.join(10)


def measure(daemon, victim, name, attack=None):
    times = []
    daemon.reset_peak()
    with attack or contextlib.nullcontext(), daemon.connect() as client:
        time.sleep(0.5)
        end = time.monotonic() + SECONDS
        while len(times) < CALLS and time.monotonic() < end:
            began = time.monotonic()
            if "result" not in daemon.ask(client, "status", victim): raise SystemExit(f"{name}: no status")
            times.append((time.monotonic() - began) * 1000)
            time.sleep(0.005)
    times.sort()
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    print(f"{name:32} p50 {p50:8.2f} ms  p99 {p99:8.2f} ms  longest {times[-1]:8.2f} ms  peak {daemon.peak():7.1f} MiB",
          flush=True)


def fill(netns, count):
    rules = "ip daddr 192.0.2.1 tcp dport 1 counter accept\n" * count
    table = "table ip nat {{\nchain OUTPUT {{\ntype nat hook output priority -100\n{}}}\n}}\n"
    inside(netns, "nft", "-f", "-", text=table.format(rules))


SPOOF = """
own = s.getsockname()[0]
spoofed = [struct.pack('<IHHIIi', 20, kind, 2, number, 0, value)
    for number in range(1, 9) for kind, value in ((2, -1), (3, 0), (0xa0f, 0))]
while True:
    with open('/proc/net/netlink') as table: sockets = [line.split() for line in table][1:]
    for port in {int(fields[2]) for fields in sockets if fields[1] == '12'} - {0, own}:
        for message in spoofed:
            try: s.sendto(message, socket.MSG_DONTWAIT, (port, 0))
            except OSError: pass
"""
CHANGES = """
while True:
    batch(table(2, b'coming'))
    time.sleep(0.005)
    batch(message(2, 0, 2, attribute(1, b'coming')))
    time.sleep(0.005)
"""
CHAINS = """
for family in 2, 10:
    for hook in 0, 3:
        for first in range(0, {count}, {step}):
            name = lambda n: {name} + b'%05d' % n
            own = b'\\x02' * 248 + bytes([48 + hook])
            parts = [table(family, own)]
            for n in range(first, first + {step}):
                parts += [chain(family, own, name(n), b'nat', hook, -150), rule(family, own, name(n), REDIRECT)]
            batch(*parts)
"""
CONTROL_BYTES = "bytes([1 + n % 8]) * 245"


def chains(netns, count, name, step=50):
    inside(netns, "python3", "-", text=library + CHAINS.format(count=count, name=name, step=step))


CALLER = """
import json, os, socket
os.setgid(4242); os.setuid(4242)
while True:
    for method, *parameters in {calls!r}:
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect({socket!r})
                s.sendall(json.dumps(dict(jsonrpc="2.0", id=1, method=method, params=parameters)).encode() + b"\\n")
                while not s.recv(65536).endswith(b"\\n"): pass
        except OSError: pass
"""


@contextlib.contextmanager
def calls_for(daemon, names, *methods):
    """Calls again and again, for each namespace by a process of one user, who is not the one who is measured."""
    with contextlib.ExitStack() as stack:
        for name in names:
            calls = [(method[0], name, *method[1:]) for method in methods]
            program = CALLER.format(calls=calls, socket=daemon.socket)
            process = subprocess.Popen(["python3", "-c", program], stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


@contextlib.contextmanager
def unread(daemon, count):
    clients = [daemon.connect() for _ in range(count)]
    for client in clients: client.sendall(b'{"jsonrpc":"2.0","id":1,"method":"list"}\n')
    try: yield
    finally:
        for client in clients: client.close()


def denials(daemon):
    flood = f"""
import os, socket
os.setgid(4242); os.setuid(4242)
while True:
    with socket.socket(socket.AF_UNIX) as s:
        s.connect({daemon.socket!r})
        for _ in range(100):
            s.sendall(b'{{"jsonrpc":"2.0","id":1,"method":"clear"}}\\n')
            if not s.recv(65536): break
"""
    return subprocess.Popen(["python3", "-c", flood], stderr=subprocess.DEVNULL)


def attacks(daemon):
    with namespaces(5) as (victim, *hostile):
        measure(daemon, victim, "nothing")
        for name in hostile: fill(name, 20000)
        with contextlib.ExitStack() as stack:
            for name in hostile: stack.enter_context(background(name, SPOOF))
            measure(daemon, victim, "spoofed netlink, 4 namespaces",
                    calls_for(daemon, hostile, ("bypass", "on"), ("status",), ("bypass", "off")))
    with namespaces(5) as (victim, *hostile):
        rules = "*nat\n:c - [0:0]\n" + "-A OUTPUT -p tcp -j c\n" * 20000 + "-A c -p udp -j RETURN\n" * 20000 + "COMMIT\n"
        for name in hostile: inside(name, "iptables-legacy-restore", text=rules)
        measure(daemon, victim, "legacy jumps, 4 namespaces", calls_for(daemon, hostile, ("status",)))
    with namespaces(2) as (victim, hostile):
        chains(hostile, 1000, "b'c'")
        measure(daemon, victim, "4,000 base chains",
                calls_for(daemon, [hostile], ("bypass", "on"), ("status",), ("bypass", "off")))
    with namespaces(33) as (victim, *hostile):
        for name in hostile:
            chains(name, 24, CONTROL_BYTES, step=24)
            daemon.call("bypass", name, "on")
        measure(daemon, victim, "names of control bytes, list", again_and_again(lambda: daemon.call("list")))
        measure(daemon, victim, "32 unread lists", unread(daemon, 32))
        for name in hostile: daemon.call("bypass", name, "off")
    with namespaces(1) as (victim,):
        flood = denials(daemon)
        try: measure(daemon, victim, "flood of denials")
        finally:
            flood.kill()
            flood.wait()
    with namespaces(2) as (victim, hostile):
        fill(hostile, 3000)
        with background(hostile, CHANGES):
            measure(daemon, victim, "a change of rules every 5 ms",
                    calls_for(daemon, [hostile], ("bypass", "on"), ("status",), ("bypass", "off")))


signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
if len(sys.argv) != 2 or os.geteuid() != 0: raise SystemExit(__doc__)
with tempfile.TemporaryDirectory(prefix=prefix) as folder:
    daemon = Daemon(os.path.abspath(sys.argv[1]), folder)
    try: attacks(daemon)
    finally: daemon.stop()

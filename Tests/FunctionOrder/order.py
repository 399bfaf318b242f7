#!/usr/bin/env python3
"""order.py DAEMON MAP FILE: writes the functions that calls execute into FILE, in their order, for the linker.

A call after a while finds neither its code nor the way to it in the processor's caches: the fewer pages that code lies in, the
sooner it answers. MAP is lld's map of the daemon, which names the functions. Runs as root; the daemon, its BPF file system and its
namespaces are this program's own.
"""
import bisect, contextlib, json, os, re, socket, struct, subprocess, sys, tempfile, time

here = os.path.dirname(os.path.abspath(__file__))
prefix = f"kbo-{os.getpid()}-"
REDIRECT = """*nat
-A PREROUTING -p tcp -j REDIRECT --to-ports 15006
-A OUTPUT -p tcp -m owner ! --uid-owner 1337 -j REDIRECT --to-ports 15001
COMMIT
"""
TPROXY = """*mangle
-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -j TPROXY --on-port 15006 --tproxy-mark 1337
COMMIT
"""
LARGEST_SECTION = 64 * 1024  # bytes; no function has as many
# The calls that are traced. They share most of their functions, so the first ones determine the order.
CALLS = [
    ("bypass", "redirect", "on"), ("bypass", "redirect", "off"), ("bypass", "tproxy", "on"), ("status", "tproxy"), ("list",),
    ("bypass", "tproxy", "off"), ("info",),
]


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, **options)


@contextlib.contextmanager
def namespace(name, *rules):
    run("ip", "netns", "add", prefix + name)
    try:
        inside = ["nsenter", f"--net=/run/netns/{prefix}{name}"]
        run(*inside, "ip", "link", "set", "lo", "up")
        for text in rules:
            for restore in ["iptables-nft-restore", "ip6tables-nft-restore"]:
                run(*inside, restore, "--noflush", input=text)
        yield
    finally:
        run("ip", "netns", "delete", prefix + name)


@contextlib.contextmanager
def daemon(program, folder):
    for name in ["bpf", "state"]:
        os.mkdir(f"{folder}/{name}")
    run("mount", "-t", "bpf", "bpf", f"{folder}/bpf")
    # The checks in between would come into what is traced: that takes a hundred times as long as usual.
    options = ["--socket", "socket", "--bpffs", f"{folder}/bpf", "--state-dir", f"{folder}/state", "--check-interval", "86400"]
    process = subprocess.Popen([program, *options, "--log-level", "error"], cwd=folder)
    try:
        while not os.path.exists(f"{folder}/socket"):
            if process.poll() is not None:
                sys.exit("the daemon has ended")
            time.sleep(0.01)
        yield process.pid
    finally:
        process.terminate()
        process.wait()
        run("umount", f"{folder}/bpf")


class Client:
    def __init__(self, path):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        self.file = connection.makefile("rw")

    def call(self, method, *parameters):
        if parameters:
            parameters = [prefix + parameters[0], *parameters[1:]]
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        answer = json.loads(self.file.readline())
        if "result" not in answer:
            sys.exit(f"{method}: {answer['error']}")


def addresses_of(call, client, thread, folder):
    path = f"{folder}/addresses"
    tracer = subprocess.Popen([f"{folder}/steps", thread, path], stdout=subprocess.PIPE, text=True)
    if tracer.stdout.readline() != "waiting\n":
        sys.exit("the thread of the connection cannot be traced")
    client.call(*call)
    if tracer.wait() != 0:
        sys.exit("the trace was interrupted")
    with open(path, "rb") as file:
        return [address for address, in struct.iter_unpack("=Q", file.read())]


def functions(path):
    """By address: its end and name. The linker moves sections: one that holds a whole library stays where it is."""
    # A section is indented by 9, a symbol in it by 17.
    line = re.compile(r" *([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]+) +\d+( {9}| {17})(\S.*)$")
    found, is_movable = {}, False
    with open(path) as file:
        for match in filter(None, map(line.match, file)):
            start, size = int(match[1], 16), int(match[2], 16)
            if len(match[3]) == 9:
                is_movable = size <= LARGEST_SECTION
            elif is_movable and size > 0:
                found[start] = (start + size, match[4])
    return found


def base(pid, program):
    with open(f"/proc/{pid}/maps") as maps:
        return min(int(line.split("-")[0], 16) for line in maps if line.split()[-1] == os.path.realpath(program))


def main(program, map_path, target):
    names = {}
    known = functions(map_path)
    starts = sorted(known)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        run("cc", "-O2", "-Wall", "-Werror", "-o", f"{folder}/steps", f"{here}/steps.c")
        stack.enter_context(namespace("redirect", REDIRECT))
        stack.enter_context(namespace("tproxy", REDIRECT, TPROXY))
        pid = stack.enter_context(daemon(os.path.abspath(program), folder))
        client = Client(f"{folder}/socket")
        # What is done once is done now.
        for _ in range(2):
            for call in CALLS:
                client.call(*call)
        threads = f"/proc/{pid}/task"
        thread = next(id for id in os.listdir(threads) if open(f"{threads}/{id}/comm").read() == "connection\n")
        offset = base(pid, program)
        for call in CALLS:
            for address in dict.fromkeys(addresses_of(call, client, thread, folder)):
                place = bisect.bisect_right(starts, address - offset) - 1
                if place >= 0 and address - offset < known[starts[place]][0]:
                    names[known[starts[place]][1]] = None
    with open(target, "w") as file:
        file.write("# The functions that calls execute, in their order; made by `Tests/run.sh --order`.\n")
        file.writelines(name + "\n" for name in names)
    print(f"{target}: {len(names)} functions")


if __name__ == "__main__":
    main(*sys.argv[1:])

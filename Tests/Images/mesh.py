"""A network namespace with an app, a sidecar and a mesh's redirect, in a control group as the kubelet makes it for a pod."""
import itertools
import os
import pathlib
import subprocess
import sys
import time
import uuid

from container import run

SERVER = """
import os, socket, sys
listeners = []
for port, name in [(8080, b"app"), (15001, b"sidecar")]:
    listener = socket.create_server(("127.0.0.1", port))
    if not os.fork():
        while True:
            connection, _ = listener.accept()
            connection.sendall(name)
            connection.close()
print("ready", flush=True)
os.wait()
"""
PROBE = "import socket; print(socket.create_connection(('127.0.0.1', 8080), 5).recv(99).decode())"


def control_group_root():
    """Where control groups have names: of version 2, or of a tree that systemd keeps."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, path, kind, options, *_ = line.split()
        if kind == "cgroup2" or kind == "cgroup" and "name=systemd" in options:
            return pathlib.Path(path)
    raise SystemExit("mesh.py: no control groups are mounted")


class Pod:
    numbers = itertools.count()

    def __enter__(self):
        number = next(self.numbers)
        self.name = f"kbt-{os.getpid()}-image{number}"
        self.address = f"10.89.7.{number + 1}"
        self.uid = str(uuid.uuid4())
        run("ip", "netns", "add", self.name)
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        self.inside("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.inside(
            "iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "8080", "-j", "REDIRECT", "--to-ports", "15001")
        self.server = subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, "-c", SERVER], stdout=subprocess.PIPE, process_group=0)
        self.server.stdout.readline()
        self.group = control_group_root() / "kubepods" / f"pod{self.uid}" / "c0ffee"
        self.group.mkdir(parents=True)
        (self.group / "cgroup.procs").write_text(str(self.server.pid))
        return self

    def __exit__(self, *_):
        os.killpg(self.server.pid, 9)
        self.server.wait()
        run("ip", "netns", "delete", self.name)
        for folder in [self.group, self.group.parent]:
            # A process that was ended may take a moment to go.
            for _ in range(100):
                try:
                    folder.rmdir()
                    break
                except OSError:
                    time.sleep(0.05)
        run("rmdir", "--ignore-fail-on-non-empty", self.group.parent.parent)

    def inside(self, *command):
        return run("ip", "netns", "exec", self.name, *command).stdout

    def who(self):
        """Who answers a new connection to the app."""
        return self.inside(sys.executable, "-c", PROBE).strip()

"""HTTP through a real Envoy: requests on connections that are kept open, and on new ones, while a bypass comes and goes.

requests.py PREFIX SOCKET ENVOY CONFIG   in the namespaces PREFIX-pod and PREFIX-peer (MeshRules/probes.py), by the daemon
                                         that listens on SOCKET

Prints one line a step: the step, and all different answers to its requests.
"""
import http.client
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../MeshRules")
from probes import FAMILY, POD, enter, in_thread

prefix, daemon, envoy, config = sys.argv[1:]
ADDRESSES = [POD[family] for family in FAMILY]


class App(http.server.BaseHTTPRequestHandler):
    """Says who it takes for its client. It keeps no connection of Envoy's open, so that each request over Envoy needs a new
    one to the app: these are what a bypass could break."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.client_address[0].removeprefix("::ffff:").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if "x-request-id" in self.headers:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True


def inside(place, body):
    """What the body returns in a namespace: a socket stays where it was made."""
    results = []

    def run():
        enter(f"{prefix}-{place}", 0)
        results.append(body())

    in_thread(run).join()
    return results[0]


def wait_for_envoy(process, log):
    def listens():
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", 15006)) == 0

    deadline = time.monotonic() + 30
    while not inside("pod", listens):
        if process.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            sys.exit("Envoy does not listen: " + log.read()[-2000:])
        time.sleep(0.02)


def connections(count):
    """That many to each of the pod's addresses."""
    def connect():
        opened = []
        for address in ADDRESSES * count:
            connection = http.client.HTTPConnection(address, 8080, timeout=10)
            connection.connect()
            opened.append(connection)
        return opened

    return inside("peer", connect)


def answers(opened):
    found = set()
    for connection in opened:
        try:
            # A connection that was closed fails, instead of being made again.
            connection.auto_open = False
            connection.request("GET", "/")
            answer = connection.getresponse()
            client = answer.read().decode()
            who = "envoy" if answer.getheader("server") == "envoy" else "app"
            found.add(f"{answer.status} {who} {client}")
        except (OSError, http.client.HTTPException) as error:
            found.add(f"failed: {error!r}")
    return found


def show(step, found):
    print(f"{step}: {', '.join(sorted(found))}", flush=True)


def bypass(state):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(daemon)
        request = {"jsonrpc": "2.0", "id": 1, "method": "bypass", "params": [f"{prefix}-pod", state]}
        client.sendall(json.dumps(request).encode() + b"\n")
        result = json.loads(client.makefile().readline())["result"]
        show(state, [f"effective {result['effective']}"])


def play():
    kept = connections(5)
    show("with the mesh", answers(kept))
    bypass("on")
    show("kept open", answers(kept * 3))
    direct = connections(20)
    show("new", answers(direct * 2))
    show("kept open beside new ones", answers(kept * 3))
    bypass("off")
    show("kept open after it", answers(kept * 3))
    show("direct ones after it", answers(direct))
    show("new after it", answers(connections(5)))


# Envoy's connections to the app have the client's address and a port of the pod's (32768 and more): with the client's own
# ports among these, two connections would now and then have the same ends.
subprocess.run(["nsenter", f"--net=/run/netns/{prefix}-peer", "sysctl", "-qw",
                "net.ipv4.ip_local_port_range=20000 29999"], check=True)
server = inside("pod", lambda: Server(("::", 8080), App))
threading.Thread(target=server.serve_forever, daemon=True).start()
# As Istio runs it in this mode: as root, with the sidecar's group.
command = ["nsenter", f"--net=/run/netns/{prefix}-pod", "setpriv", "--pdeathsig", "KILL", "--regid", "1337",
           "--clear-groups", envoy, "--config-path", config, "--concurrency", "1", "--log-level", "error",
           "--disable-hot-restart"]
with tempfile.TemporaryFile("w+") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
    try:
        wait_for_envoy(process, log)
        play()
    finally:
        process.kill()

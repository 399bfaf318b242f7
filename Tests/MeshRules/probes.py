"""A pod with a sidecar, a peer and a virtual machine behind the pod, as three network namespaces; and who answers the
connections that they make. It knows nothing of the daemon.

probes.py setup PREFIX              makes the namespaces PREFIX-pod, PREFIX-peer and PREFIX-vm
probes.py run PREFIX USER MARK CLIENT_MARK
                                    prints one line a probe: NAME ANSWER FROM. USER is the sidecar's, MARK is what its
                                    sockets carry, CLIENT_MARK those with the client's address; 0 for none
"""
import ctypes
import os
import selectors
import socket
import subprocess
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
APP_USER = 1000
APP, UDP, DNS, CAPTURED_DNS = 8080, 5300, 53, 15053
# Where the meshes send what they take: Istio and Kuma, Linkerd.
SIDECAR = [15001, 15006, CAPTURED_DNS, 4140, 4143]
POD = {4: "10.89.0.1", 6: "fd89::1"}
PEER = {4: "10.89.0.2", 6: "fd89::2"}
VM = {4: "10.90.0.2", 6: "fd90::2"}
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
# The sidecar's for connections that it passes through, and the kubelet's in Istio ambient.
PASSTHROUGH = {4: "127.0.0.6", 6: "::6"}
KUBELET = {4: "169.254.7.127", 6: "fd16:9254:7127:1337:ffff:ffff:ffff:ffff"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
MAC = {("pod", "eth0"): "02:00:00:00:00:01", ("peer", "eth0"): "02:00:00:00:00:02",
       ("pod", "vm0"): "02:00:00:00:00:03", ("vm", "eth0"): "02:00:00:00:00:04"}


def setup(prefix):
    def ip(place, lines):
        enter = ["nsenter", f"--net=/run/netns/{prefix}-{place}"] if place else []
        subprocess.run(enter + ["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)

    ip(None, [f"netns add {prefix}-{place}" for place in ("pod", "peer", "vm")] + [
        f"link add {pod} address {MAC['pod', pod]} netns {prefix}-pod "
        f"type veth peer name eth0 address {MAC[other, 'eth0']} netns {prefix}-{other}"
        for pod, other in (("eth0", "peer"), ("vm0", "vm"))])
    for place, links in (("vm", ["eth0"]), ("peer", ["eth0"]), ("pod", ["eth0", "vm0"])):
        ip(place, [f"link set {link} up" for link in ["lo"] + links])

    def addresses(link, own, other, other_mac):
        lines = []
        for family in FAMILY:
            bits, nodad = (24, "") if family == 4 else (64, " nodad")
            lines.append(f"address add {own[family]}/{bits} dev {link}{nodad}")
            # Whom they know they need not look for, which takes IPv6 some time after the start.
            lines.append(f"neighbour add {other[family]} lladdr {other_mac} dev {link} nud permanent")
        return lines

    gateway = {4: "10.90.0.1", 6: "fd90::1"}
    ip("pod", addresses("eth0", POD, PEER, MAC["peer", "eth0"]) + addresses("vm0", gateway, VM, MAC["vm", "eth0"])
       + [f"address add {PASSTHROUGH[6]}/128 dev lo"] + [f"route add {KUBELET[f]} via {PEER[f]}" for f in FAMILY])
    ip("vm", addresses("eth0", VM, gateway, MAC["pod", "vm0"]) + [f"route add default via {gateway[f]}" for f in FAMILY])
    ip("peer", addresses("eth0", PEER, POD, MAC["pod", "eth0"]) + [f"address add {KUBELET[4]}/32 dev eth0"]
       + [f"address add {KUBELET[6]}/128 dev eth0 nodad"]
       + [f"route add {network} via {POD[f]}" for f, network in ((4, "10.90.0.0/24"), (6, "fd90::/64"))])
    forwarding = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]
    subprocess.run(["nsenter", f"--net=/run/netns/{prefix}-pod", "sysctl", "-qw"] + forwarding, check=True)


def enter(namespace, user):
    """Only this thread: its namespace, and the user that its sockets belong to."""
    handle = os.open("/run/netns/" + namespace, os.O_RDONLY)
    if libc.setns(handle, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns " + namespace)
    os.close(handle)
    libc.setfsgid(user)
    libc.setfsuid(user)


def in_thread(body, *arguments):
    thread = threading.Thread(target=body, args=arguments)
    thread.start()
    return thread


class Servers:
    """Each says who it is and who asks, to every connection and datagram."""

    def __init__(self, prefix, sidecar_user):
        self.selector = selectors.DefaultSelector()
        for place in ("pod", "peer", "vm"):
            in_thread(self.open, prefix, place, "app", APP_USER, [APP, DNS], [UDP, DNS], ["::"]).join()
        in_thread(self.open, prefix, "pod", "sidecar", sidecar_user, SIDECAR, [], ["::"]).join()
        # Answers to local redirects have to come from the address that these went to.
        in_thread(self.open, prefix, "pod", "sidecar", sidecar_user, [], [CAPTURED_DNS], ["127.0.0.1", "::1"]).join()
        threading.Thread(target=self.serve, daemon=True).start()

    def open(self, prefix, place, role, user, tcp, udp, addresses):
        enter(f"{prefix}-{place}", user)
        for address in addresses:
            for kind, ports in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp)):
                for port in ports:
                    server = socket.socket(FAMILY[6 if ":" in address else 4], kind)
                    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    # What TPROXY takes only such a socket gets.
                    server.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT
                    server.bind((address, port))
                    if kind == socket.SOCK_STREAM:
                        server.listen(64)
                    name = f"{role}:{port}" if role == "sidecar" else f"{role}:{place}"
                    self.selector.register(server, selectors.EVENT_READ, name)

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj.type == socket.SOCK_STREAM:
                    connection, client = key.fileobj.accept()
                    connection.sendall(self.answer(key.data, client))
                    connection.close()
                else:
                    _, client = key.fileobj.recvfrom(100)
                    key.fileobj.sendto(self.answer(key.data, client), client)

    @staticmethod
    def answer(name, client):
        return f"{name} {client[0].removeprefix('::ffff:')}".encode()


def ask(namespace, user, mark, source, kind, address, port):
    enter(namespace, user)
    with socket.socket(FAMILY[6 if ":" in address else 4], kind) as client:
        client.settimeout(3)
        if mark:
            client.setsockopt(socket.SOL_SOCKET, 36, mark)  # SO_MARK
        try:
            if source:
                client.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT: the address may be another's
                client.bind((source, 0))
            client.connect((address, port))
            if kind == socket.SOCK_DGRAM:
                client.send(b"?")
            return client.recv(100).decode() or "closed -"
        except OSError as error:
            return f"unanswered:{type(error).__name__} -"


def probes(sidecar_user, sidecar_mark, client_mark):
    """Name, place, user, mark, source, kind, address, port."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    for family in FAMILY:
        def probe(name, place, user, kind, address, port, source=None, mark=0):
            source = source and source[family]
            return (f"{name}{family}", place, user, mark, source, kind, address[family], port)

        yield probe("app", "pod", APP_USER, tcp, PEER, APP)
        yield probe("app-to-itself", "pod", APP_USER, tcp, POD, APP)
        yield probe("app-loopback", "pod", APP_USER, tcp, LOOPBACK, APP)
        yield probe("app-dns-udp", "pod", APP_USER, udp, PEER, DNS)
        yield probe("app-dns-tcp", "pod", APP_USER, tcp, PEER, DNS)
        yield probe("app-udp", "pod", APP_USER, udp, PEER, UDP)
        yield probe("root", "pod", 0, tcp, PEER, APP)
        yield probe("marked", "pod", APP_USER, tcp, PEER, APP, mark=4711)
        yield probe("sidecar", "pod", sidecar_user, tcp, PEER, APP, mark=sidecar_mark)
        yield probe("sidecar-to-app", "pod", sidecar_user, tcp, POD, APP, mark=sidecar_mark)
        yield probe("sidecar-loopback", "pod", sidecar_user, tcp, LOOPBACK, APP, mark=sidecar_mark)
        yield probe("sidecar-passthrough", "pod", sidecar_user, tcp, POD, APP, PASSTHROUGH, sidecar_mark)
        yield probe("sidecar-dns-udp", "pod", sidecar_user, udp, PEER, DNS, mark=sidecar_mark)
        if client_mark:
            yield probe("sidecar-as-client", "pod", sidecar_user, tcp, POD, APP, PEER, client_mark)
        yield probe("in", "peer", APP_USER, tcp, POD, APP)
        yield probe("in-udp", "peer", APP_USER, udp, POD, UDP)
        yield probe("in-kubelet", "peer", 0, tcp, POD, APP, KUBELET)
        yield probe("vm", "vm", APP_USER, tcp, PEER, APP)
        yield probe("vm-dns-udp", "vm", APP_USER, udp, PEER, DNS)
        yield probe("to-vm", "peer", APP_USER, tcp, VM, APP)


def run(prefix, sidecar_user, *marks):
    Servers(prefix, sidecar_user)
    answers = {}

    def ask_and_keep(name, place, *rest):
        answers[name] = ask(f"{prefix}-{place}", *rest)

    for thread in [in_thread(ask_and_keep, *probe) for probe in probes(sidecar_user, *marks)]:
        thread.join()
    for name, answer in answers.items():
        print(name, answer)


if __name__ == "__main__":
    if sys.argv[1] == "setup":
        setup(sys.argv[2])
    else:
        run(sys.argv[2], *map(int, sys.argv[3:]))

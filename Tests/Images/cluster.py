"""An API server that others wrote, in a network namespace that is the one of the controller's pod: it reaches the server as pods
do, by TLS and with the token of its service account."""
import json
import os
import pathlib
import subprocess

from container import run

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / ".build-kmock/bin/python"
TOKEN = "the-token"


class Cluster:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.network = f"kbt-{os.getpid()}-cluster"

    def __enter__(self):
        # As the kubelet mounts it.
        self.account = self.folder / "serviceaccount"
        self.account.mkdir()
        (self.account / "token").write_text(TOKEN)
        (self.account / "namespace").write_text("kmesh-system")
        certificate, key = self.account / "ca.crt", self.folder / "key.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
            "-subj", "/CN=kubernetes", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
        run("ip", "netns", "add", self.network)
        run("ip", "-n", self.network, "link", "set", "lo", "up")
        self.server = subprocess.Popen(
            ["ip", "netns", "exec", self.network, PYTHON, ROOT / "Tests/ControllerTests/kmock_server.py", certificate, key, TOKEN],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        port = self.server.stdout.readline().decode().strip()
        # What the kubelet sets in every container.
        self.environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port}
        self.access = [
            "--kubeconfig", "/dev/null", "--server", f"https://127.0.0.1:{port}", "--certificate-authority", certificate,
            "--token", TOKEN, "--cache-dir", self.folder / "kubectl"]
        return self

    def __exit__(self, *_):
        # It ends with its input.
        self.server.communicate()
        run("ip", "netns", "delete", self.network)

    def kubectl(self, *arguments, **options):
        return run("ip", "netns", "exec", self.network, "kubectl", *self.access, *arguments, **options).stdout

    def make(self, name, uid, address, node):
        """A running pod of a mesh."""
        self.kubectl("create", "--validate=false", "-f", "-", input=json.dumps({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "uid": uid, "labels": {}},
            "spec": {"nodeName": node, "containers": [
                {"name": "app", "image": "app"}, {"name": "istio-proxy", "image": "proxyv2"}]},
            "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
        }))

    def status(self, name):
        return self.kubectl("get", "pod", name, "-o", r"jsonpath={.metadata.annotations.kmesh\.net/bypass-status}")

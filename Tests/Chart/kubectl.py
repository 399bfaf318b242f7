"""`kubectl apply --dry-run`, with an API server that knows the kinds of a manifest and has no objects."""
import http.server
import json
import subprocess
import tempfile
import threading

CLUSTER_WIDE = {
    "Namespace", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def plural(kind):
    name = kind.lower()
    return name[:-1] + "ies" if name.endswith("y") else name + "s"


def discovery(objects):
    """What the API server answers, by path."""
    versions = sorted({each["apiVersion"] for each in objects})
    pages = {"/api": {"kind": "APIVersions", "versions": ["v1"]}}
    groups = [version.split("/") for version in versions if "/" in version]
    pages["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
        {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
         "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version}} for group, version in groups]}
    for version in versions:
        kinds = sorted({each["kind"] for each in objects if each["apiVersion"] == version})
        pages[("/apis/" if "/" in version else "/api/") + version] = {
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [
                {"name": plural(kind), "singularName": kind.lower(), "namespaced": kind not in CLUSTER_WIDE, "kind": kind,
                 "verbs": ["create", "get", "patch"]} for kind in kinds]}
    return pages


def dry_run(text, objects):
    """What kubectl says; a line for each object that it would make."""
    pages = discovery(objects)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page = pages.get(self.path.split("?")[0])
            content = json.dumps(page or {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
                                          "code": 404}).encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, tempfile.TemporaryDirectory() as cache:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            done = subprocess.run(
                ["kubectl", "--kubeconfig", "/dev/null", "--server", f"http://127.0.0.1:{server.server_port}",
                 "--cache-dir", cache, "apply", "--dry-run=client", "--validate=false", "-f", "-"],
                input=text, capture_output=True, text=True)
        finally:
            server.shutdown()
    return (done.stdout + done.stderr).splitlines()

#!/usr/bin/python3
"""Makes the container images and runs them, as root, with runc and with what the manifest gives their pods.

    images.py PROGRAMS     the folder of a release build"""
import copy
import json
import os
import pathlib
import re
import sys
import tempfile
import time

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "Images"))
from cluster import Cluster  # noqa: E402
from container import Container, pod_of, run, unpack  # noqa: E402
from mesh import Pod  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES = ["kmesh-bypass-controller", "kmesh-bypassd"]


def check(holds, words):
    if not holds:
        raise SystemExit(f"images.py: {words}")


def eventually(holds, words, *containers):
    deadline = time.monotonic() + 60
    while not holds():
        check(time.monotonic() < deadline, "\n".join([words, *(each.log for each in containers)]))
        time.sleep(0.05)


def get_ready(container):
    container.start()
    eventually(container.is_ready, "the container does not get ready", container)


def capabilities(status, name):
    bits = int(next(line.split()[1] for line in status.splitlines() if line.startswith(name + ":")), 16)
    return {bit for bit in range(64) if bits >> bit & 1}


def build(programs, folder):
    run(ROOT / "systemd/image.sh", folder, env={**os.environ, "BINARIES": programs})
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def a_folder_of_others_is_left(programs, folder):
    own = folder / "others" / NAMES[1] / "work"
    own.mkdir(parents=True)
    refused = run(
        "python3", ROOT / "systemd/oci.py", own.parent, "--user", "0:0", pathlib.Path(programs) / NAMES[1], check=False,
        env={**os.environ, "SOURCE_DATE_EPOCH": "0"})
    check(refused.returncode and "name another folder" in refused.stderr, f"oci.py takes any folder: {refused}")
    check(own.is_dir(), "oci.py has removed a folder that is not an image")


def images_are_reproducible(programs, folder):
    first, second = build(programs, folder / "first"), build(programs, folder / "second")
    check(first == second, "two runs of systemd/image.sh differ")
    size = sum(len(content) for path, content in first.items() if path.startswith(NAMES[0] + "/"))
    check(size < 40_000_000, f"the controller's image has {size} bytes")
    return folder / "first", size


def images_hold_nothing_else(layouts, folder):
    """No shell, no program of others; a licence for each package; files of root that no other user can write."""
    bundles = {}
    for name in NAMES:
        index = json.loads((layouts / name / "index.json").read_text())
        tag = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
        bundle = bundles[name] = unpack(layouts / name, tag, folder / name)
        root = bundle / "rootfs"
        programs = sorted(path.name for path in (root / "usr/bin").iterdir())
        check(programs == {NAMES[0]: NAMES[:1], NAMES[1]: ["kmesh-bypassctl", "kmesh-bypassd"]}[name], f"{name}: {programs}")
        for path in root.rglob("*"):
            status = path.lstat()
            check(status.st_uid == status.st_gid == 0, f"{path} is not root's")
            check(path.is_symlink() or path.name == "tmp" or not status.st_mode & 0o6022, f"{path} can be written")
        for entry in (root / "var/lib/dpkg/status.d").iterdir():
            check((root / "usr/share/doc" / entry.name / "copyright").stat().st_size > 0, f"{entry.name} has no licence")
        check((root / "usr/share/doc/kmesh-bypassd/NOTICE").exists(), f"{name} has no NOTICE")
    return bundles


def controller_runs(bundle, objects, host):
    pod = pod_of(objects, "controller")
    done = Container(bundle, pod, "controller", host, arguments=[NAMES[0], "--version"]).finish()
    check(done.stdout.startswith("kmesh-bypass-controller "), f"{done.stdout}{done.stderr}")
    # Its pod has an API server's address and token. Without both it says what is missing, as the user that it is to be.
    done = Container(bundle, pod, "controller", host).finish()
    check(done.returncode == 78 and "kubeconfig" in done.stderr, f"{done.returncode}: {done.stdout}{done.stderr}")
    done = Container(bundle, pod, "controller", host, arguments=["/bin/sh"]).finish()
    check(done.returncode != 0 and "no such file" in done.stderr, f"the image has a shell: {done.stderr}")


def daemon_says_what_is_missing(bundle, objects, host):
    """Without one of its pod's folders of the node it ends, and says which."""
    for path, code, words in [("/sys/fs/bpf", 72, "not on a BPF file system"), ("/run/kmesh", 71, "bind /run/kmesh/bypassd.sock")]:
        pod = copy.deepcopy(pod_of(objects, "bypassd"))
        for each in pod["containers"]:
            each["volumeMounts"] = [mount for mount in each["volumeMounts"] if mount["mountPath"] != path]
        done = Container(bundle, pod, "bypassd", host, objects).finish()
        check(done.returncode == code and words in done.stderr, f"without {path}: {done.returncode}: {done.stderr}")


def daemon_keeps_bypasses(bundle, objects, host, programs):
    """The daemon's pod: who may connect, what a bypass does, and what a new container finds."""
    pod, run_folder = pod_of(objects, "bypassd"), pathlib.Path(host["/run/kmesh"])
    socket = run_folder / "bypassd.sock"
    ctl = pathlib.Path(programs) / "kmesh-bypassctl"

    def call(*arguments, user=0, group=0, check=True):
        environment = {**os.environ, "KMESH_BYPASSD_SOCKET": str(socket)}
        # As the controller's pod connects: an unknown user, with the group besides its own.
        rights = ["setpriv", "--reuid", user, "--regid", user, "--groups", group]
        return run(*rights, ctl, *arguments, check=check, env=environment)

    daemon = Container(bundle, pod, "bypassd", host, objects)
    with Pod() as mesh:
        try:
            get_ready(daemon)
            check((socket.stat().st_gid, socket.stat().st_mode & 0o777) == (987, 0o660), "the socket is not root:987, 0660")
            status = pathlib.Path(f"/proc/{daemon.process}/status").read_text()
            # As in the unit: CAP_DAC_READ_SEARCH is lowered.
            check(capabilities(status, "CapBnd") == capabilities(status, "CapPrm"), "the daemon could get more capabilities")
            check(capabilities(status, "CapPrm") - capabilities(status, "CapEff") == {2}, "it has all in effect")
            check(call("list", user=65532, check=False).returncode != 0, "a user without the group can connect")
            # As beside a daemon that is installed on the node.
            done = Container(bundle, pod, "bypassd", host, objects, id="second").finish()
            check(done.returncode == 75 and "stop it first" in done.stderr, f"a second daemon: {done.returncode}: {done.stderr}")

            check(mesh.who() == "sidecar", "the mesh is not there to begin with")
            call("on", mesh.name, "--for", "1h", user=65532, group=987)
            check(mesh.who() == "app", f"the bypass has no effect: {call('status', mesh.name).stdout}")
            # By the pod's processes, in the node's control groups.
            found = json.loads(call("status", f"pod:{mesh.uid}", "--json").stdout)
            check(found["state"] == "on", f"by its uid: {found}")
            # Made later than the container.
            with Pod() as second:
                check(second.who() == "sidecar", "the mesh is not there in a second pod")
                call("on", second.name)
                check(second.who() == "app", "a namespace that is younger than the container is not seen")
                call("off", second.name)

            pins = {path.name: path.stat().st_ino for path in pathlib.Path(host["/sys/fs/bpf"]).iterdir()}
            check(set(pins) >= {"bypass", "bypassed_netns"}, f"pins: {pins}")
            for signal in ["TERM", "KILL"]:
                daemon.stop(signal)
                check(mesh.who() == "app", f"the bypass ended with the daemon ({signal})")
                daemon = Container(bundle, pod, "bypassd", host, objects)
                get_ready(daemon)
                status = json.loads(call("status", mesh.name, "--json", user=65532, group=987).stdout)
                check(status["state"] == "on" and status["effective"], f"after {signal}: {status}")
                check(status["setBy"]["uid"] == 65532, f"the record is lost after {signal}: {status}")
                check(mesh.who() == "app", f"no bypass after {signal}")
                now = {path.name: path.stat().st_ino for path in pathlib.Path(host["/sys/fs/bpf"]).iterdir()}
                check(now["bypassed_netns"] == pins["bypassed_netns"], f"another map after {signal}: {now}, {pins}")
            call("off", mesh.name, user=65532, group=987)
            check(mesh.who() == "sidecar", "the sidecar is not back")
            check(not json.loads(call("list", "--json").stdout)["bypasses"], "a bypass is left")
        finally:
            daemon.stop()


def page_patch():
    """The change of the controller's pod that proto-docs/kubernetes.md has `kubectl patch` make."""
    page = (ROOT / "proto-docs/kubernetes.md").read_text()
    [change] = json.loads(re.search(r"kubectl .* patch daemonset bypass-controller --type json -p '(.*)'\n", page)[1])
    *path, last = change["path"].removeprefix("/spec/template/spec/").split("/")

    def apply(pod):
        check(change["op"] == "replace", f"not a replacement: {change}")
        for step in path:
            pod = pod[int(step) if isinstance(pod, list) else step]
        check(pod[int(last)] == "--enable-bypass=true", f"not what the page is to replace: {pod}")
        pod[int(last)] = change["value"]

    return apply


def label_bypasses(bundles, objects, host, folder):
    """Both pods on a node, and an API server: a label takes the sidecar out of a pod's traffic, and its end puts it back."""
    def container(image, name, change=lambda pod: None, **options):
        pod = copy.deepcopy(pod_of(objects, name))
        change(pod)
        return Container(bundles[image], pod, name, host, objects, **options)

    with Cluster(folder) as cluster, Pod() as mesh:
        daemon = container("kmesh-bypassd", "bypassd")
        controller = container("kmesh-bypass-controller", "controller", cluster=cluster, node="node-a")
        both = [controller, daemon]
        cluster.make("web", mesh.uid, mesh.address, "node-a")
        try:
            # In the order in which nothing works at first.
            controller.start()
            get_ready(daemon)
            for _ in range(2):
                eventually(controller.is_ready, "the controller does not find the daemon", *both)
                check(mesh.who() == "sidecar", "the mesh is not there to begin with")
                cluster.kubectl("label", "pod", "web", "kmesh.net/bypass=enabled")
                eventually(lambda: cluster.status("web") == "on", "the label has no effect", *both)
                check(mesh.who() == "app", "the status says on, and connections go to the sidecar")
                # The controller's pod sees the socket that a new daemon makes.
                daemon.stop("KILL")
                get_ready(daemon)
                eventually(controller.is_ready, "the controller does not find the new daemon", *both)
                cluster.kubectl("label", "pod", "web", "kmesh.net/bypass-")
                eventually(lambda: cluster.status("web") == "", "the end of the label has no effect", *both)
                check(mesh.who() == "sidecar", "the sidecar is not back")
            reasons = cluster.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}").split()
            check({"BypassEnabled", "BypassDisabled"} <= set(reasons), f"Events: {reasons}")
            # The page's way to remove all of it begins with a controller that ends what the one before it has made.
            cluster.kubectl("label", "pod", "web", "kmesh.net/bypass=enabled")
            eventually(lambda: mesh.who() == "app", "the label has no effect", *both)
            controller.stop()
            controller = container("kmesh-bypass-controller", "controller", cluster=cluster, node="node-a", change=page_patch())
            controller.start()
            eventually(lambda: cluster.status("web") == "", "the bypass is not ended for good", controller, daemon)
            check(mesh.who() == "sidecar", "the sidecar is not back, though there is no status")
        finally:
            controller.stop()
            daemon.stop()


def main(programs):
    with tempfile.TemporaryDirectory(prefix="kmesh-images-") as name:
        folder = pathlib.Path(name)
        # Other users than root are to reach the socket.
        folder.chmod(0o755)
        a_folder_of_others_is_left(programs, folder)
        layouts, size = images_are_reproducible(programs, folder)
        bundles = images_hold_nothing_else(layouts, folder)
        ctl = pathlib.Path(programs) / "kmesh-bypassctl"
        objects = list(yaml.safe_load_all(run(ctl, "manifest", "--gid", "987", "--daemon").stdout))
        # The node's own are for its own daemon.
        host = {"/run/kmesh": str(folder / "run"), "/sys/fs/bpf": str(folder / "bpf")}
        (folder / "run").mkdir()
        (folder / "bpf").mkdir()
        run("mount", "--types", "bpf", "bpf", folder / "bpf")
        try:
            controller_runs(bundles[NAMES[0]], objects, host)
            daemon_says_what_is_missing(bundles[NAMES[1]], objects, host)
            daemon_keeps_bypasses(bundles[NAMES[1]], objects, host, programs)
            label_bypasses(bundles, objects, host, folder)
        finally:
            run("umount", folder / "bpf")
        print(f"the images are reproducible, and run with their pods' rights; the controller's has {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/python3
"""Makes the container images and runs them, as root, with runc and with what the manifest gives their pods.

    images.py PROGRAMS     the folder of a release build"""
import json
import os
import pathlib
import sys
import tempfile

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "Images"))
from container import Container, run, unpack  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES = ["kmesh-bypass-controller", "kmesh-bypassd"]


def check(holds, words):
    if not holds:
        raise SystemExit(f"images.py: {words}")


def build(programs, folder):
    run(ROOT / "systemd/image.sh", folder, env={**os.environ, "BINARIES": programs})
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


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


def pod_of(objects, container):
    for each in objects:
        if each["kind"] == "DaemonSet":
            pod = each["spec"]["template"]["spec"]
            if container in [one["name"] for one in pod["containers"]]:
                return pod
    raise SystemExit(f"images.py: the manifest has no container {container}")


def controller_runs(bundle, objects, host):
    pod = pod_of(objects, "controller")
    done = Container(bundle, pod, "controller", host, arguments=[NAMES[0], "--version"]).finish()
    check(done.stdout.startswith("kmesh-bypass-controller "), f"{done.stdout}{done.stderr}")
    # Its pod has an API server's address and token. Without both it says what is missing, as the user that it is to be.
    done = Container(bundle, pod, "controller", host).finish()
    check(done.returncode == 78 and "kubeconfig" in done.stderr, f"{done.returncode}: {done.stdout}{done.stderr}")
    done = Container(bundle, pod, "controller", host, arguments=["/bin/sh"]).finish()
    check(done.returncode != 0 and "no such file" in done.stderr, f"the image has a shell: {done.stderr}")


def main(programs):
    with tempfile.TemporaryDirectory(prefix="kmesh-images-") as name:
        folder = pathlib.Path(name)
        layouts, size = images_are_reproducible(programs, folder)
        bundles = images_hold_nothing_else(layouts, folder)
        objects = list(yaml.safe_load_all(run(pathlib.Path(programs) / "kmesh-bypassctl", "manifest", "--gid", "987").stdout))
        host = {"/run/kmesh": str(folder / "run")}
        (folder / "run").mkdir()
        controller_runs(bundles[NAMES[0]], objects, host)
        print(f"the images are reproducible, and run; the controller's has {size / 1e6:.1f} MB")


main(*sys.argv[1:])

#!/usr/bin/python3
"""Unpacks the daemon's image for the virtual machine to run it, with what the manifest gives its pod.

    bundle.py PROGRAMS FOLDER PLACE    of the release build in PROGRAMS, into FOLDER, which will be PLACE in the machine

FOLDER has the image in rootfs, and two configurations: daemonset.json is the DaemonSet's; default.json leaves out what that says
of AppArmor, so that the container gets the profile that container engines give by default."""
import copy
import json
import os
import pathlib
import sys
import tempfile

import yaml

from container import Container, pod_of, run, unpack

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def main(programs, folder, place):
    programs, folder = pathlib.Path(programs), pathlib.Path(folder)
    objects = list(yaml.safe_load_all(run(programs / "kmesh-bypassctl", "manifest", "--gid", "987", "--daemon").stdout))
    pod = pod_of(objects, "bypassd")
    with tempfile.TemporaryDirectory() as layouts:
        run(sys.executable, ROOT / "systemd/oci.py", f"{layouts}/daemon", "--user", "0:0", programs / "kmesh-bypassd",
            programs / "kmesh-bypassctl", env={**os.environ, "SOURCE_DATE_EPOCH": "0"})
        index = json.loads(pathlib.Path(layouts, "daemon/index.json").read_text())
        unpack(f"{layouts}/daemon", index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], folder)
    other = copy.deepcopy(pod)
    del other["containers"][0]["securityContext"]["appArmorProfile"]
    configurations = {
        name: Container(folder, each, "bypassd", {"/run/kmesh": f"{folder}/run"}, objects, has_apparmor=True).config
        for name, each in [("daemonset", pod), ("default", other)]}
    for name, configuration in configurations.items():
        (folder / f"{name}.json").write_text(json.dumps(configuration).replace(str(folder), place))


main(*sys.argv[1:])

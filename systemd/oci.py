#!/usr/bin/env python3
"""Writes an OCI layout with one image: programs, and of Debian only the libraries that they load.

There is no shell and no package manager in it. What scanners ask a package manager is there: the entry of each package
that a library is of (var/lib/dpkg/status.d), and its licence."""
import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

SOURCES = pathlib.Path(__file__).resolve().parent.parent
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/:/usr/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/usr/sbin/nologin\n",
    # The manifest replaces it, with the number that the node's socket is to have.
    "etc/group": "root:x:0:\nnonroot:x:65532:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
# /lib and /lib64 are where programs name the loader. The other folders are for mounts: the root is read-only.
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
FOLDERS = ["dev", "etc/kmesh", "proc", "run/kmesh", "run/netns", "sys", "tmp"]


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Layer:
    """A gzip'ed archive that depends on nothing but what is put in: owners, times and order are always the same."""

    def __init__(self, time):
        self.time, self.entries = time, {}

    def add(self, path, mode, kind=tarfile.REGTYPE, link="", content=b""):
        for parent in list(pathlib.PurePosixPath(path).parents)[:-1]:
            if str(parent) not in self.entries:
                self.add(str(parent), 0o755, tarfile.DIRTYPE)
        entry = tarfile.TarInfo(path)
        entry.mode, entry.type, entry.linkname, entry.mtime, entry.size = mode, kind, link, self.time, len(content)
        self.entries[path] = (entry, content)

    def add_file(self, path, source, mode=0o644):
        self.add(path, mode, content=pathlib.Path(source).read_bytes())

    def packed(self):
        """The archive, and its digest before it was compressed."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for path in sorted(self.entries):
                entry, content = self.entries[path]
                archive.addfile(entry, io.BytesIO(content))
        return gzip.compress(buffer.getvalue(), 6, mtime=0), hashlib.sha256(buffer.getvalue()).hexdigest()


def libraries(programs):
    """What the programs load, as ldd finds it here."""
    lines = output("ldd", *programs).splitlines()
    found = {match.group(1) for line in lines if (match := re.search(r"(?:=> |^\s+)(/\S+) \(0x", line))}
    if missing := [line.strip() for line in lines if "not found" in line]:
        raise SystemExit(f"oci.py: a library is missing on this machine: {', '.join(missing)}")
    # /lib is /usr/lib.
    return sorted("/usr" + path if path.startswith("/lib") else path for path in found)


def package_of(library):
    """What Debian's package manager calls the package; its list has some paths without /usr, as they were once."""
    for path in [library, library.removeprefix("/usr")]:
        found = subprocess.run(["dpkg-query", "--search", path], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.split(": ")[0]
    raise SystemExit(f"oci.py: {library} is of no package, so its licence is not known")


def base(programs, time):
    layer = Layer(time)
    for folder in FOLDERS:
        layer.add(folder, 0o1777 if folder == "tmp" else 0o755, tarfile.DIRTYPE)
    for path, target in LINKS.items():
        layer.add(path, 0o777, tarfile.SYMTYPE, target)
    for path, text in ACCOUNTS.items():
        layer.add(path, 0o644, content=text.encode())
    layer.add_file("etc/os-release", "/usr/lib/os-release")
    found = libraries(programs)
    for library in found:
        layer.add_file(library[1:], library, 0o755)
    for package in sorted({package_of(library) for library in found}):
        name = package.split(":")[0]
        layer.add_file(f"usr/share/doc/{name}/copyright", f"/usr/share/doc/{name}/copyright")
        layer.add(f"var/lib/dpkg/status.d/{name}", 0o644, content=output("dpkg-query", "--status", package).encode())
    return layer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("layout", type=pathlib.Path, help="the folder to write; its name is the image's")
    parser.add_argument("--user", required=True, help="UID:GID")
    parser.add_argument("--argument", action="append", help="of the first program, where a pod names no other")
    parser.add_argument("programs", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    time = int(os.environ["SOURCE_DATE_EPOCH"])
    # NAME VERSION (commit COMMIT)
    version, commit = re.search(
        r" (\S+) \(commit (\S+)\)", output(options.programs[0], "--version")).groups()

    product = Layer(time)
    for program in options.programs:
        product.add_file(f"usr/bin/{program.name}", program, 0o755)
    for name in ["LICENSE", "NOTICE", "systemd/SBOM.spdx.json"]:
        product.add_file(f"usr/share/doc/kmesh-bypassd/{os.path.basename(name)}", SOURCES / name)

    mark = options.layout / "oci-layout"
    if options.layout.exists():
        if not mark.is_file():
            raise SystemExit(f"oci.py: {options.layout} is there, and is not an image of an earlier run: name another folder")
        shutil.rmtree(options.layout)
    options.layout.mkdir(parents=True)
    # First, so that a run that was interrupted can be repeated.
    mark.write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    blobs = options.layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(media_type, content):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": "sha256:" + digest, "size": len(content)}

    # Debian's part first: it stays the same from version to version.
    packed = [layer.packed() for layer in [base(options.programs, time), product]]
    created = output("date", "--utc", f"--date=@{time}", "+%Y-%m-%dT%H:%M:%SZ").strip()
    config = blob("config.v1+json", json.dumps({
        "created": created, "os": "linux", "architecture": output("dpkg", "--print-architecture").strip(),
        "config": {
            "User": options.user, "Env": ["PATH=/usr/bin"], "Entrypoint": [options.programs[0].name],
            "Cmd": options.argument or [], "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": options.layout.name, "org.opencontainers.image.version": version,
                "org.opencontainers.image.revision": commit, "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest for _, digest in packed]},
        "history": [{"created": created, "created_by": "systemd/image.sh"}] * len(packed),
    }, sort_keys=True).encode())
    manifest = blob("manifest.v1+json", json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
        "layers": [blob("layer.v1.tar+gzip", content) for content, _ in packed],
    }, sort_keys=True).encode())
    manifest["annotations"] = {"org.opencontainers.image.ref.name": version}
    (options.layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    size = sum(path.stat().st_size for path in blobs.iterdir())
    print(f"{options.layout}: {options.layout.name}:{version}, {size / 1e6:.1f} MB compressed")


main()

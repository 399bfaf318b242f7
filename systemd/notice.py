#!/usr/bin/env python3
"""Writes NOTICE and systemd/SBOM.spdx.json: what is built into the programs, and under which licences.

    notice.py [--check] [CHECKOUTS]

The packages and versions are Package.swift's, the licences those in CHECKOUTS, the folder that a build leaves them in
(default .build/checkouts). --check writes nothing, and fails if a file is not what it would write."""
import hashlib
import json
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent

# What has a licence of its own inside a package: where its text is, the part of it, and what it is.
VENDORED = {
    "swift-nio": [("llhttp", "MIT", "Sources/CNIOLLHTTP/LICENSE")],
    "swift-nio-extras": [("zlib", "Zlib, Copyright (c) 1995-2026 Jean-loup Gailly and Mark Adler", None)],
    "swift-nio-ssl": [("BoringSSL", "Apache-2.0", None)],
    "swift-crypto": [("BoringSSL", "Apache-2.0", None)],
    "yams": [(
        "LibYAML", "MIT, Copyright (c) 2017-2020 Ingy döt Net, Copyright (c) 2006-2016 Kirill Simonov", None)],
}
# Not a package of SwiftPM, but in every program: the toolchain's libraries, linked statically.
RUNTIME = ("Swift runtime and standard library", "https://github.com/swiftlang/swift", "Apache-2.0 WITH Swift-exception")
# Loaded from the distribution.
LIBRARIES = {
    "libbpf": "LGPL-2.1-only OR BSD-2-Clause", "libmnl": "LGPL-2.1-or-later", "libnftnl": "GPL-2.0-or-later",
    "libstdc++": "GPL-3.0-or-later WITH GCC-exception-3.1", "glibc": "LGPL-2.1-or-later",
}


def fail(message):
    sys.exit(f"notice.py: {message}")


class Package:
    def __init__(self, repository, version, checkouts):
        self.name = repository.split("/")[1]
        self.address = "https://github.com/" + repository
        self.version = version
        self.folder = checkouts / self.name
        if not self.folder.is_dir():
            fail(f"{self.folder} is missing: build first, or name the folder with the checkouts")
        texts = sorted(self.folder.glob("LICENSE*"))
        if len(texts) != 1:
            fail(f"{self.folder} should have one licence, and has {len(texts)}")
        self.licence_text = texts[0].read_text().strip("\n")
        self.licence = spdx_identifier(self.licence_text, texts[0])
        notice = self.folder / "NOTICE.txt"
        self.notice = notice.read_text().strip("\n") if notice.exists() else None
        self.vendored = VENDORED.get(self.name.lower(), [])


def spdx_identifier(text, path):
    if "Apache License" in text:
        return "Apache-2.0 WITH Swift-exception" if "Runtime Library Exception" in text else "Apache-2.0"
    if "MIT License" in text:
        return "MIT"
    return fail(f"{path}: what licence is this? Teach notice.py")


def packages(checkouts):
    manifest = (root / "Package.swift").read_text()
    found = re.findall(r'"(?:https://github\.com/)?([\w-]+/[\w-]+)", (?:exact: )?"(\d+\.\d+\.\d+)"', manifest)
    return sorted((Package(*pair, checkouts) for pair in found), key=lambda package: package.name.lower())


def release():
    return re.search(r'release = "([^"]+)"', (root / "Sources/BypassAPI/Product.swift").read_text()).group(1)


def notice(all_packages):
    lines = [
        "kmesh-bypassd", "", "Licensed under the Apache License, Version 2.0 (LICENSE). The BPF program and its header, in",
        "bpf/, are GPL-2.0-only OR BSD-2-Clause.", "",
        "The programs contain what is listed here, under the licences named. systemd/notice.py writes this file.", "",
    ]
    for package in all_packages:
        lines.append(f"{package.name} {package.version}, {package.licence}, {package.address}")
        lines += [f"    with {name}, {licence}" for name, licence, _ in package.vendored]
    lines.append(f"{RUNTIME[0]}, {RUNTIME[2]}, {RUNTIME[1]}")
    for package in all_packages:
        texts = [package.notice, package.licence_text if package.licence == "MIT" else None]
        texts += [(package.folder / path).read_text().strip("\n") for _, _, path in package.vendored if path]
        for text in filter(None, texts):
            lines += ["", "-" * 80, f"{package.name}:", "", text]
    return "\n".join(line.rstrip() for line in "\n".join(lines).split("\n")) + "\n"


def element(identifier, name, version, licence, location):
    return {
        "SPDXID": "SPDXRef-" + identifier, "name": name, "versionInfo": version, "downloadLocation": location,
        "filesAnalyzed": False, "licenseConcluded": licence, "licenseDeclared": licence, "copyrightText": "NOASSERTION",
    }


def sbom(all_packages, created):
    product = element("kmesh-bypassd", "kmesh-bypassd", release(), "Apache-2.0", "NOASSERTION")
    elements, relationships = [product], []

    def add(new, kind):
        elements.append(new)
        relationships.append(
            {"spdxElementId": product["SPDXID"], "relationshipType": kind, "relatedSpdxElement": new["SPDXID"]})

    for package in all_packages:
        new = element(package.name, package.name, package.version, package.licence, "git+" + package.address)
        new["downloadLocation"] += "@" + package.version
        new["externalRefs"] = [{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": f"pkg:swift/{package.address.removeprefix('https://')}@{package.version}",
        }]
        if package.vendored:
            new["comment"] = "Contains " + ", ".join(f"{name} ({licence})" for name, licence, _ in package.vendored)
        add(new, "CONTAINS")
    runtime = element("swift-runtime", RUNTIME[0], None, RUNTIME[2], RUNTIME[1])
    runtime["comment"] = "Of the toolchain that builds."
    add(runtime, "CONTAINS")
    for name, licence in LIBRARIES.items():
        library = element(re.sub(r"\W+", "-", name).strip("-"), name, None, licence, "NOASSERTION")
        library["comment"] = "Loaded from the distribution."
        add(library, "DYNAMIC_LINK")
    for each in elements:
        if each["versionInfo"] is None:
            del each["versionInfo"]
    digest = hashlib.sha256(json.dumps([elements, relationships]).encode()).hexdigest()
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"kmesh-bypassd-{release()}",
        "documentNamespace": f"https://spdx.org/spdxdocs/kmesh-bypassd-{release()}-{digest[:32]}",
        # SPDX wants a time. A constant one keeps two builds the same.
        "creationInfo": {"created": created, "creators": ["Tool: notice.py"]},
        "documentDescribes": [product["SPDXID"]], "packages": elements, "relationships": relationships,
    }
    return json.dumps(document, indent=2) + "\n"


def main(arguments):
    if "--help" in arguments:
        print(__doc__)
        return
    check = "--check" in arguments
    rest = [argument for argument in arguments if argument != "--check"]
    if len(rest) > 1 or any(argument.startswith("-") for argument in rest):
        fail(f"wrong arguments: {' '.join(arguments)}, see --help")
    all_packages = packages(pathlib.Path(rest[0]) if rest else root / ".build/checkouts")
    texts = {"NOTICE": notice(all_packages), "systemd/SBOM.spdx.json": sbom(all_packages, "2026-11-28T00:00:00Z")}
    for name, text in texts.items():
        path = root / name
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            fail(f"{name} is not what Package.swift and the checkouts say: run systemd/notice.py")


main(sys.argv[1:])

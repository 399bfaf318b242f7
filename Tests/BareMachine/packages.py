#!/usr/bin/python3
"""Finds commands that scripts and tests use, and that a machine would not have on which there is nothing but Debian 12, the
toolchain, and the packages that the scripts install: here they may be there by chance.

A word counts as a command if it stands where one can stand, and Debian has installed a program of that name. `packages.py
--toolchain` prints what a toolchain needs of Debian."""
import ast
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# What swift.org/install says to install with the toolchain (for binutils another name), and what begins the README's commands.
TOOLCHAIN = """binutils gcc git libcurl4-openssl-dev libedit-dev libicu-dev libncurses-dev libpython3-dev libsqlite3-dev
    libxml2-dev pkg-config tzdata uuid-dev sudo""".split()
# Words that are not calls: of a control group, a commit, a node of a cluster, a module of Python's, and `ip route`.
WORDS = {"docker", "HEAD", "node", "pip", "route"}
# Used where they are: systemd's programs, and another kubectl than that of kubernetes-client, which Tests/run.sh installs.
OPTIONAL = {"systemd", "kubectl"}


def installed():
    """Of each package that is installed: whether a minimal Debian has it, what it provides, what it depends on."""
    fields = "${db:Status-Abbrev}\t${Package}\t${Essential}\t${Priority}\t${Provides}\t${Pre-Depends}, ${Depends}\n"
    found = {}
    output = subprocess.run(["dpkg-query", "--show", "--showformat", fields], capture_output=True, text=True, check=True)
    for line in output.stdout.splitlines():
        status, name, essential, priority, provides, depends = line.split("\t")
        if status.startswith("ii"):
            is_base = essential == "yes" or priority == "required" or name == "apt"
            found[name] = is_base, names_of(provides), [names_of(each, "|") for each in depends.split(",")]
    return found


def names_of(text, separator=","):
    return [each.split("(")[0].split(":")[0].strip() for each in text.split(separator) if each.strip()]


def closure(wanted, packages):
    """These packages and all that comes with them. Of alternatives the first that is here."""
    providers = {}
    for name, (_, provides, _) in packages.items():
        for each in [name, *provides]:
            providers.setdefault(each, name)
    found, left = set(), list(wanted)
    while left:
        name = providers.get(left.pop())
        if name and name not in found:
            found.add(name)
            left += [next((each for each in choice if each in providers), "") for choice in packages[name][2]]
    return found


def owners():
    """The package of each program in a folder of PATH, by its name."""
    found = {}
    for path in pathlib.Path("/var/lib/dpkg/info").glob("*.list"):
        package = path.stem.split(":")[0]
        for line in path.read_text().splitlines():
            if match := re.fullmatch(r"(?:/usr)?/s?bin/([^/]+)", line):
                found.setdefault(match[1], package)
    for path in pathlib.Path("/etc/alternatives").iterdir():
        target = os.readlink(path) if path.is_symlink() else ""
        if path.name not in found and target.startswith(("/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/")):
            if package := found.get(os.path.basename(target)):
                found[path.name] = package
    return found


def nodes(tree):
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    for each in tree if isinstance(tree, list) else []:
        yield from nodes(each)


def literal(word):
    parts = word.get("Parts") or []
    return parts[0].get("Value") if len(parts) == 1 and parts[0].get("Type") == "Lit" else None


def words_of_shell(text):
    """The words of commands and of lists, and the packages that need_packages is called with or that such lists are of."""
    tree = json.loads(subprocess.run(["shfmt", "--to-json"], input=text, capture_output=True, text=True, check=True).stdout)
    words, packages = set(), set()
    for node in nodes(tree):
        arguments = [literal(word) for word in node.get("Args") or [] if isinstance(word, dict)]
        elements = [literal(each.get("Value") or {}) for each in (node.get("Array") or {}).get("Elems") or []]
        if arguments[:1] == ["need_packages"]:
            packages.update(arguments[1:])
        elif (node.get("Name") or {}).get("Value", "").endswith("_packages") and elements:
            packages.update(elements)
        else:
            words.update(arguments + elements)
    return words - {None}, packages - {None}


def words_of_python(text):
    """The first words of lists: how commands are named."""
    lists = [node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.List, ast.Tuple)) and node.elts]
    firsts = [node.elts[0] for node in lists]
    return {first.value for first in firsts if isinstance(first, ast.Constant) and isinstance(first.value, str)}


def words_of_swift(text):
    """The first words of lists: how the tests name a command."""
    return set(re.findall(r'\[\s*"([^"\\\s]+)"', text))


def main():
    packages, programs = installed(), owners()
    base = {name for name, (is_base, _, _) in packages.items() if is_base} | set(TOOLCHAIN)
    # The set-up does without what only the tests install.
    wanted, uses = set(), []
    for folders in [["systemd"], [".ci", "Tests", "Sources"]]:
        for folder in folders:
            for path in sorted((ROOT / folder).rglob("*")):
                if not path.is_file() or path.is_symlink():
                    continue
                text = path.read_text(errors="replace")
                if path.suffix in [".sh", ".bash"] or text.startswith(("#!/bin/sh", "#!/usr/bin/env bash")):
                    words, named = words_of_shell(text)
                    wanted |= named
                elif path.suffix == ".py":
                    words = words_of_python(text)
                elif path.suffix == ".swift":
                    words = words_of_swift(text)
                else:
                    continue
                uses += [(path.relative_to(ROOT), folder, word) for word in words]
        available = closure(base | wanted, packages) | OPTIONAL
        missing = sorted({
            f"{path}: {word} is of {programs[word]}, which no script installs"
            for path, folder, word in uses
            if folder in folders and word in programs and programs[word] not in available and word not in WORDS})
        if missing:
            raise SystemExit("\n".join(missing))
    print(f"{len(uses)} words looked up")


if sys.argv[1:] == ["--toolchain"]:
    print(",".join(TOOLCHAIN))
else:
    main()

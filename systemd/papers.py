#!/usr/bin/env python3
"""Writes what a package has beside the programs: manuals, completions and the example of a policy.

    papers.py BUILD    into BUILD/papers, from the programs in the folder BUILD and from proto-docs

A program's manual is what its --help and that of its commands say; that of bypassd.toml is proto-docs/policy.md."""
import gzip
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True

# What a program's manual says of files, beside what its help says.
FILES = {
    "kmesh-bypassd": [
        ("/run/kmesh/bypassd.sock", "The socket. Its mode says who may connect."),
        ("/etc/kmesh/bypassd.toml", "The policy, see bypassd.toml(5). Without it the built-in rules apply."),
        ("/run/kmesh/state", "The records of bypasses, until shutdown."),
        ("/sys/fs/bpf/bypass, /sys/fs/bpf/bypassed_netns",
         "The matcher and its map. Bypasses are on while these exist, also without the daemon."),
    ],
    "kmesh-bypass-controller": [
        ("/etc/kmesh/controller.kubeconfig",
         "The API server and the credential, for root's eyes only, with certificates and a token or key in it. Its user "
         "needs the rights of the ClusterRole that kmesh-bypassctl manifest prints. The service does not start without it."),
        ("/etc/kmesh/controller.env", "NODE_NAME=NAME, if Kubernetes does not call this node by its host name."),
    ],
}


def fail(message):
    sys.exit(f"papers.py: {message}")


def programs():
    for line in (root / "systemd/programs").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, section = line.split()
            yield name, section


def output(*command):
    # So wide that no line is wrapped: man does that.
    result = subprocess.run(command, capture_output=True, text=True, env={"COLUMNS": "1000", "PATH": "/usr/bin:/bin"})
    if result.returncode != 0:
        fail(f"{' '.join(map(str, command))} failed: {result.stderr.strip()}")
    return result.stdout


# roff

def escape(text):
    """Text of one line. A minus is a minus, and no line begins with a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha")
    text = text.replace("~", "\\(ti")
    return re.sub(r"^([.])", r"\\&\1", text)


def verbatim(lines):
    return [".PP", ".nf", ".RS 4"] + [escape(line) or ".sp" for line in lines] + [".RE", ".fi"]


def page(name, section, what, body):
    version = re.search(r'release = "([^"]+)"', (root / "Sources/BypassAPI/Product.swift").read_text()).group(1)
    others = [other for other in [*programs(), ("bypassd.toml", "5")] if other[0] != name]
    references = [".SH SEE ALSO", ", ".join(f"\\fB{escape(other)}\\fR({number})" for other, number in others)]
    lines = [
        f'.TH "{escape(name.upper())}" "{section}" "" "kmesh\\-bypassd {version}" "Kmesh sidecar bypass"',
        ".nh", ".ad l", ".SH NAME", f"{escape(name)} \\- {escape(what)}",
    ]
    return "\n".join(lines + body + references) + "\n"


# A program's help

class Help:
    """What --help prints, in parts. Each program prints the same form: OVERVIEW, USAGE, and lists of names and texts."""

    def __init__(self, text):
        overview, found, rest = text.partition("\nUSAGE: ")
        if not found:
            fail(f"a program's help has no usage: {text}")
        lines = overview.removeprefix("OVERVIEW: ").strip("\n").split("\n")
        first = lines.index("") if "" in lines else len(lines)
        self.abstract = " ".join(lines[:first])
        self.discussion = lines[first + 1:]
        usage, _, rest = rest.partition("\n\n")
        self.usage = " ".join(usage.split())
        self.lists = []
        for title, block in re.findall(r"^([A-Z][A-Z ]*):\n((?:  .*\n|\n(?=  ))+)", rest + "\n", flags=re.M):
            self.lists.append((title, self.items(block)))

    @staticmethod
    def items(block):
        found = []
        for line in block.split("\n"):
            if re.match(r"  \S", line) and not line.startswith("  See '"):
                name, text = line[2:], ""
                # The text begins in the column that all share, or on the next line.
                if len(line) > 26 and line[25] == " ":
                    name, text = line[2:26].strip(), line[26:]
                found.append([name, text])
            elif line.startswith(" " * 10) and found:
                found[-1][1] = f"{found[-1][1]} {line.strip()}".strip()
        return found

    def commands(self):
        return [name.split()[0] for title, items in self.lists if title == "SUBCOMMANDS" for name, _ in items]


def usage(text):
    """The program's name in bold, as it is typed: kubectl takes its plugin's in two words."""
    typed = re.match(r"kubectl bypass|\S+", text).group()
    return f"\\fB{escape(typed)}\\fR{escape(text.removeprefix(typed))}"


def discussion(lines):
    """Paragraphs; what is indented below a title in capitals stays as it is."""
    for paragraph in "\n".join(lines).strip("\n").split("\n\n"):
        part = paragraph.split("\n")
        if re.match(r"[A-Z ]{4}", part[0]) and part[1:] and all(line.startswith("  ") for line in part[1:]):
            yield ".PP"
            yield f"\\fB{part[0].capitalize()}\\fR"
            yield from verbatim([line[2:] for line in part[1:]])
        elif part != [""]:
            yield ".PP"
            yield from map(escape, part)


def item_list(items):
    for name, text in items:
        yield ".TP"
        yield f"\\fB{escape(name)}\\fR"
        # A name without a text has a line below it all the same.
        yield escape(text) or "\\&"


def command_sections(program, words):
    """The commands of a program, each with its options, the nested ones too."""
    for word in Help(output(program, *words, "--help")).commands():
        path = [*words, word]
        help_ = Help(output(program, *path, "--help"))
        yield f'.SS "{escape(" ".join(path))}"'
        yield escape(help_.abstract)
        yield from (".PP", usage(help_.usage))
        yield from discussion(help_.discussion)
        for title, items in help_.lists:
            # They are the same in every command.
            items = [item for item in items if not re.match(r"(--version|-h, --help)\b", item[0])]
            if title != "SUBCOMMANDS":
                yield from item_list(items)
        yield from command_sections(program, path)


def program_page(program, name, section):
    help_ = Help(output(program, "--help"))
    body = [".SH SYNOPSIS", usage(help_.usage), ".SH DESCRIPTION"]
    body += [escape(help_.abstract), *discussion(help_.discussion)]
    for title, items in help_.lists:
        if title == "SUBCOMMANDS":
            body += [".SH COMMANDS", *command_sections(program, [])]
        else:
            body += [f".SH {title}", *item_list(items)]
    if name in FILES:
        body += [".SH FILES", *item_list(FILES[name])]
    what = help_.abstract.rstrip(".")
    return page(name, section, what[0].lower() + what[1:], body)


# A page of proto-docs

def inline(text):
    """Code is bold, links are their text."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("\\|", "|")
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"\\fB{escape(part)}\\fR" if index % 2 else escape(part) for index, part in enumerate(parts))


def markdown(text):
    """The parts of Markdown that proto-docs uses: headings, paragraphs, lists, tables, code."""
    for block in re.findall(r"^```(?s:.*?)^```|(?:^.+\n?)+", text, flags=re.M):
        lines = block.strip("\n").split("\n")
        if lines[0].startswith("```"):
            yield from verbatim(lines[1:-1])
        elif lines[0].startswith("#"):
            level, title = lines[0].split(" ", 1)
            yield f".SH {escape(title.upper())}" if len(level) == 2 else f'.SS "{escape(title)}"'
        elif lines[0].startswith("|"):
            # What is above and below the line are titles.
            for line in lines[2:]:
                cells = [inline(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                yield ".TP"
                yield cells[0] or "\\&"
                yield "; ".join(filter(None, cells[1:])) or "\\&"
        elif lines[0].startswith("- "):
            for line in lines:
                yield ".IP \\(bu 2"
                yield inline(line[2:])
        else:
            yield ".PP"
            yield from map(inline, lines)


def policy_page(text):
    title, text = text.split("\n", 1)
    body = [".SH DESCRIPTION", *markdown(text)]
    return page("bypassd.toml", "5", f"{title.removeprefix('# ').lower()} of kmesh-bypassd: who may do what", body)


def main(arguments):
    if arguments == ["--help"]:
        print(__doc__)
        return
    if len(arguments) != 1 or arguments[0].startswith("-"):
        fail("the folder of a build is missing, see --help")
    build = pathlib.Path(arguments[0]).resolve()
    papers = build / "papers"
    papers.mkdir(exist_ok=True)

    def write_page(name, section, text):
        # Without a name and a time, the same text gives the same bytes.
        (papers / f"{name}.{section}.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))

    for name, section in programs():
        program = build / name
        if not program.is_file():
            continue
        write_page(name, section, program_page(program, name, section))
        if name != "kmesh-bypassd":
            for shell in ("bash", "zsh", "fish"):
                # Bash's begins as if it were a program.
                text = output(program, "--generate-completion-script", shell).removeprefix("#!/bin/bash\n")
                (papers / f"{name}.{shell}").write_text(text)
    policy = (root / "proto-docs/policy.md").read_text()
    write_page("bypassd.toml", "5", policy_page(policy))
    example = re.search(r"^```toml\n(.*?)^```", policy, flags=re.M | re.S).group(1)
    (papers / "bypassd.toml").write_text(
        "# An example of /etc/kmesh/bypassd.toml, see bypassd.toml(5). Check it: kmesh-bypassctl policy check FILE\n\n"
        + example)


main(sys.argv[1:])

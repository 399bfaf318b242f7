#!/usr/bin/env python3
"""Random calls of a live daemon, made from its OpenRPC document.

calls.py SOCKET NETNS SEED COUNT

Where the schema says that parameters are valid, the daemon must not refuse them as invalid, and the other way round; every
result must fit its schema; and every error must be among those of its method. Prints each disagreement, and last how many
calls were valid and how many were not.
"""

import collections
import json
import random
import socket
import sys
from typing import Any

from schema import Document

INVALID = -32602
# The one condition that no schema says: a scope in which no connection is.
UNSAID = "except: leaves no connection to bypass"
JUNK: list[Any] = [
    None, True, 0, 1, -1, 2**31, 2**32, 2**63 - 1, 2**63, -(2**63) - 1, 1.5, 60.0, "", "x", "60", "on", "é", [], [[]], ["a"],
    [1], {}, {"a": 1}, {"ports": []}, {"ports": None, "networks": None}, "x" * 256, "é" * 200, "x" * 4096, "a/b", "..",
    "/" + "a/" * 65, "/a/../b", "pid:0", "pid:2147483648", "pod:", "container:12", "10.0.0.1/8", "0-0", "90-80",
    "10.244.1.7\0", ["fd00::7\0x"], "192.0.2.1:+80",
]  # fmt: skip
LETTERS = "0123456789abfxyzA/:.-[]\0é% +"


class Caller:
    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def call(self, method: str, params: Any = None) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 1, "method": method}
        if params is not None:
            request["params"] = params
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        # After `subscribe` there are events between the answers.
        while "id" not in (answer := json.loads(self.file.readline())):
            pass
        return dict(answer)


class Generator:
    def __init__(self, document: Document, seed: int, netns: str) -> None:
        self.document = document
        self.random = random.Random(seed)
        self.netns = netns

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def call(self) -> tuple[str, Any]:
        name = self.random.choice(list(self.document.methods))
        declared = self.document.methods[name]["params"]
        if self.chance(0.2):
            count = self.random.randint(0, len(declared) + (1 if self.chance(0.2) else 0))
            return name, [self.parameter((declared + declared[:1] + [{"schema": {}}])[at]) for at in range(count)]
        params = {}
        for parameter in declared:
            if self.chance(0.97 if parameter["required"] else 0.25):
                params[parameter["name"]] = self.parameter(parameter)
        if self.chance(0.03):
            params["unknown"] = 1
        return name, params if params or self.chance(0.5) else None

    def parameter(self, parameter: dict[str, Any]) -> Any:
        if parameter.get("name") == "netns" and self.chance(0.4):
            return self.netns
        return self.value(parameter["schema"])

    def value(self, schema: dict[str, Any]) -> Any:
        schema = self.document.resolved(schema)
        if self.chance(0.06):
            return self.random.choice(JUNK)
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        kind = schema.get("type")
        if kind is None and "anyOf" in schema:
            return self.value(self.random.choice(schema["anyOf"][:1] * 3 + schema["anyOf"]))
        if kind == "integer":
            least, most = schema.get("minimum", 0), schema.get("maximum", 2**63 - 1)
            edges = [least - 1, least, least + 1, most - 1, most, most + 1]
            return self.random.choice(edges + [self.random.randint(least, most) for _ in range(6)])
        if kind == "string":
            return self.text(schema)
        if kind == "array":
            least, most = schema.get("minItems", 0), schema.get("maxItems", 20)
            count = self.random.choice([least - 1, least, least, least + 1, 2, min(most, 20), min(most, 20) + 1])
            return [self.value(schema["items"]) for _ in range(count)]
        if kind == "object":
            members = schema.get("properties", {}).items()
            return {name: self.value(inner) for name, inner in members if self.chance(0.7)}
        return self.random.choice([True, False]) if kind == "boolean" else None

    def text(self, schema: dict[str, Any]) -> str:
        examples = list(schema.get("examples", []))
        for inner in schema.get("allOf", [{}])[0].get("anyOf", []):
            examples += inner.get("examples", [])
        if examples and self.chance(0.9):
            text = str(self.random.choice(examples))
            return self.mutated(text) if self.chance(0.4) else text
        size = schema.get("maxLength", 64)
        size = self.random.choice([schema.get("minLength", 0), 1, size // 2, size // 2 + 1, size, size + 1])
        return self.random.choice(["x", "é", "/", "\0"]) * size

    def mutated(self, text: str) -> str:
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randint(0, len(text))
            inserted = self.random.choice(LETTERS) if self.chance(0.7) else ""
            text = text[:at] + inserted + text[at + self.random.randint(0, 1) :]
        # A process of that number may be anyone's.
        return text if not text.startswith(("pid:", "/proc")) else "pid:" + text[4:].rjust(8, "9")


def disagreement(document: Document, name: str, params: Any, answer: dict[str, Any]) -> str | None:
    refusal = document.refusal(name, params or {})
    error = answer.get("error")
    limit = (error or {}).get("data", {}).get("limit", "")
    is_refused = error is not None and (error["code"] == INVALID or limit.startswith("scope-"))
    if error and UNSAID in error["message"]:
        return None
    if is_refused != (refusal is not None):
        return f"the schema says {refusal or 'valid'}, the daemon {answer}"
    if error is None:
        found = document.violation(answer["result"], document.methods[name]["result"]["schema"])
        return f"the result does not fit: {found}" if found else None
    listed = [each["code"] for each in document.methods[name]["errors"]]
    if error["code"] != INVALID and error["code"] not in listed:
        return f"the method does not list the error {error}"
    if "data" in error and (found := document.violation(error["data"], document.schemas["ErrorData"])):
        return f"the error's data do not fit: {found}"
    return None


def check_examples(document: Document, caller: Caller, netns: str) -> int:
    wrong = 0
    for name, method in document.methods.items():
        for example in method.get("examples", []):
            params = {each["name"]: each["value"] for each in example["params"]}
            if "netns" in params:
                params["netns"] = netns
            shown = example["result"]["value"]
            answer = caller.call(name, params)
            given = answer.get("result", answer)
            if document.violation(shown, method["result"]["schema"]) or list(given) != list(shown):
                print(f"the example of {name} is not what the daemon answers: {given}")
                wrong += 1
    return wrong


def main() -> None:
    path, netns, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    caller = Caller(path)
    document = Document(caller.call("rpc.discover")["result"])
    wrong = check_examples(document, caller, netns)
    generator = Generator(document, seed, netns)
    found: collections.Counter[str] = collections.Counter()
    for _ in range(count):
        name, params = generator.call()
        answer = caller.call(name, params)
        found["invalid" if document.refusal(name, params or {}) else "valid"] += 1
        if complaint := disagreement(document, name, params, answer):
            wrong += 1
            print(f"{name} {json.dumps(params, ensure_ascii=False)[:300]}: {complaint[:400]}")
    print(f"{wrong} disagreements in {count} calls, {found['valid']} valid, {found['invalid']} not (seed {seed})")


main()

#!/usr/bin/env python3
"""Calls a live daemon with proto-docs/kmesh_bypass.py, and compares its types with the daemon's document.

client.py SOCKET NETNS
"""

import sys
import types
from pathlib import Path
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "proto-docs"))

import kmesh_bypass
from kmesh_bypass import BypassError, Client


def described(kind: Any) -> Any:
    """A type of Python's in the words of `schema_type`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is NotRequired:
        return described(arguments[0])
    if origin is Literal:
        return ("enum", frozenset(arguments))
    if origin in (Union, types.UnionType):
        return ("either", frozenset(described(each) for each in arguments))
    if origin is list:
        return ("array", described(arguments[0]))
    return kind.__name__ if is_typeddict(kind) else {
        str: "string", int: "integer", bool: "boolean", type(None): "null",
    }[kind]  # fmt: skip


def schema_type(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        # Later versions may have more codes than this one.
        if name == "WarningCode":
            return "string"
        return ("enum", frozenset(schemas[name]["enum"])) if "enum" in schemas[name] else name
    if "anyOf" in schema and "type" not in schema:
        return ("either", frozenset(schema_type(each, schemas) for each in schema["anyOf"]))
    return ("array", schema_type(schema["items"], schemas)) if schema["type"] == "array" else schema["type"]


def compare_types(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        # A dictionary of strings there.
        if "properties" not in schema or name == "ErrorData":
            continue
        hints = get_type_hints(getattr(kmesh_bypass, name), include_extras=True)
        mine = {member: described(kind) for member, kind in hints.items()}
        theirs = {member: schema_type(each, schemas) for member, each in schema["properties"].items()}
        assert mine == theirs, f"{name}: {mine} is not {theirs}"
    subscribe = next(method for method in document["methods"] if method["name"] == "subscribe")
    names = {event["name"] for event in subscribe["x-notifications"]}
    assert names == set(get_args(kmesh_bypass.EventName))


def main() -> None:
    path, netns = sys.argv[1], sys.argv[2]
    with Client(path) as client, Client(path) as watcher:
        compare_types(client.discover())
        subscription = watcher.subscribe()
        assert subscription.result["bypasses"] == []
        on = client.bypass(netns, "on", ttl=900, owner="naïve \U0001f40d", except_={"ports": [53]})
        assert on["changed"] and on["state"] == "on" and on["except"] == {"ports": [53]}
        assert client.extend(netns, 1800, if_generation=on["generation"])["changed"]
        assert client.explain(netns, to="192.0.2.1:80", protocol="tcp")["probes"][0]["from"] != ""
        assert [each["inode"] for each in client.list()["bypasses"]] == [on["inode"]]
        assert client.status(netns)["owner"] == on["owner"]
        assert client.info()["protocol"] == 1 and client.metrics()["text"]
        events = iter(subscription)
        assert [next(events)[0] for _ in range(2)] == ["on", "on"] and subscription.sequence == 2
        off = client.bypass(netns, "off", reason="done")
        assert off["changed"] and off["state"] == "off"
        # Another connection continues where this one was.
        with Client(path) as again:
            resumed = again.subscribe(subscription.stream, subscription.sequence)
            assert resumed.result["bypasses"] is None
            name, event = next(iter(resumed))
            assert (name, event["sequence"]) == ("off", 3) and event["cause"] and event["cause"]["reason"] == "done"
        for call, kind, code in [
            (lambda: client.status("none-of-these"), "netns-not-found", -32002),
            (lambda: client.extend(netns, 0), None, -32602),
        ]:
            try:
                call()
                raise AssertionError("it is not refused")
            except BypassError as error:
                assert (error.kind, error.code) == (kind, code), error
        assert client.clear()["failed"] == []
        with Client(path) as tracer:
            name, end = list(tracer.trace(netns, seconds=1))[-1]
            assert name == "trace-ended" and end["reason"] == "time", (name, end)
    try:
        Client(path + ".none")
        raise AssertionError("it connects")
    except FileNotFoundError:
        print("ok")


main()

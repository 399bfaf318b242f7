"""Whether a value fits a schema of the OpenRPC document: of JSON Schema what the document uses, without a dependency."""

import ipaddress
import re
import socket
from typing import Any, Callable


def _packed(text: str, family: int) -> bytes | None:
    try:
        return socket.inet_pton(family, text)
    except (OSError, ValueError):
        return None


def _address(text: str) -> bytes | None:
    return _packed(text, socket.AF_INET) or _packed(text, socket.AF_INET6)


def _is_network(text: str) -> bool:
    address, slash, length = text.partition("/")
    packed = _address(address)
    if packed is None or (slash and not re.fullmatch("0|[1-9][0-9]{0,2}", length)):
        return False
    bits = int(length) if slash else len(packed) * 8
    if bits > len(packed) * 8 or int.from_bytes(packed) & ((1 << (len(packed) * 8 - bits)) - 1):
        return False
    return len(packed) == 4 or bits < 96 or ipaddress.IPv6Address(packed).ipv4_mapped is None


def _is_address_and_port(text: str) -> bool:
    address, _, port = text.rpartition(":")
    if not re.fullmatch("[0-9]+", port) or not 0 < int(port) < 65536:
        return False
    if address.startswith("[") and address.endswith("]"):
        return _packed(address[1:-1], socket.AF_INET6) is not None
    return _packed(address, socket.AF_INET) is not None


def _is_port_range(text: str) -> bool:
    first, _, last = text.partition("-")
    return int(first) <= int(last) < 65536


FORMATS: dict[str, Callable[[str], bool]] = {
    "ipv4": lambda text: _packed(text, socket.AF_INET) is not None,
    "ipv6": lambda text: _packed(text, socket.AF_INET6) is not None,
    "ip-network": _is_network,
    "ip-address-and-port": _is_address_and_port,
    "port-range": _is_port_range,
    "date-time": lambda text: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) is not None,
}

TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    # As the document says: written without a fraction.
    "integer": lambda value: type(value) is int,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


class Document:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.methods: dict[str, dict[str, Any]] = {method["name"]: method for method in document["methods"]}
        self.schemas: dict[str, dict[str, Any]] = document["components"]["schemas"]

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        return self.schemas[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema

    def fits(self, value: Any, schema: dict[str, Any]) -> bool:
        return self.violation(value, schema) is None

    def violation(self, value: Any, schema: dict[str, Any]) -> str | None:
        """Where and how a value violates a schema; None if it does not."""
        schema = self.resolved(schema)
        if "type" in schema and not TYPES[schema["type"]](value):
            return f"{value!r} is not of type {schema['type']}"
        if "enum" in schema and value not in schema["enum"]:
            return f"{value!r} is not one of {schema['enum']}"
        if "anyOf" in schema and not any(self.fits(value, inner) for inner in schema["anyOf"]):
            return f"{value!r} fits none of {schema['anyOf']}"
        if "not" in schema and self.fits(value, schema["not"]):
            return f"{value!r} fits {schema['not']}"
        for inner in schema.get("allOf", []):
            if found := self.violation(value, inner):
                return found
        if type(value) is int:
            return self._of_integer(value, schema)
        if isinstance(value, str):
            return self._of_string(value, schema)
        if isinstance(value, list):
            return self._of_array(value, schema)
        if isinstance(value, dict):
            return self._of_object(value, schema)
        return None

    def _of_integer(self, value: int, schema: dict[str, Any]) -> str | None:
        if schema.get("minimum", value) <= value <= schema.get("maximum", value):
            return None
        return f"{value} is out of range"

    def _of_string(self, value: str, schema: dict[str, Any]) -> str | None:
        size = len(value.encode())
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            return f"{value!r} is too short or too long"
        if size > schema.get("x-maxBytes", size):
            return f"{value!r} has too many bytes"
        # In Python a $ also matches before a line's end.
        if "pattern" in schema and not re.search(schema["pattern"].replace("$", r"\Z"), value):
            return f"{value!r} does not match {schema['pattern']}"
        if schema.get("format", "int64") != "int64" and not FORMATS[schema["format"]](value):
            return f"{value!r} is not in the format {schema['format']}"
        return None

    def _of_array(self, value: list[Any], schema: dict[str, Any]) -> str | None:
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return f"{len(value)} are too few or too many"
        found = (self.violation(element, schema.get("items", {})) for element in value)
        return next((f"[]: {each}" for each in found if each), None)

    def _of_object(self, value: dict[str, Any], schema: dict[str, Any]) -> str | None:
        missing = [name for name in schema.get("required", []) if name not in value]
        if missing:
            return f"{missing} is missing"
        for name, inner in schema.get("properties", {}).items():
            if name in value and (found := self.violation(value[name], inner)):
                return f"{name}: {found}"
        return None

    def refusal(self, name: str, params: Any) -> str | None:
        """Why the daemon must refuse these parameters; None if it must not."""
        declared = self.methods[name]["params"]
        names = [parameter["name"] for parameter in declared]
        if isinstance(params, list):
            if len(params) > len(names):
                return "too many parameters"
            params = dict(zip(names, params))
        unknown = set(params) - set(names)
        if unknown:
            return f"unknown: {unknown}"
        for parameter in declared:
            if parameter["name"] in params:
                if found := self.violation(params[parameter["name"]], parameter["schema"]):
                    return f"{parameter['name']}: {found}"
            elif parameter["required"]:
                return f"{parameter['name']} is missing"
        combinations = self.methods[name].get("x-combinations", [])
        return next((found for each in combinations if (found := self.violation(params, each))), None)

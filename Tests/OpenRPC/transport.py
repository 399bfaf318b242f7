"""What a generated Python client needs besides: the generator knows HTTP and WebSockets only, and writes names in snake case."""

import asyncio
import json
from typing import Any

import caseswitcher
from jsonrpc2pyclient.rpcclient import AsyncRPCClient

# Keywords of Python's, and what they are called in the generated client.
RENAMED = {"from": "fromAddress", "except": "exceptFor"}


def _names(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for each in value for name in _names(each)}
    if not isinstance(value, dict):
        return set()
    found = set(value.get("properties", {})) | {each["name"] for each in value.get("params", [])}
    return found | {name for each in value.values() for name in _names(each)}


class SocketTransport(AsyncRPCClient):  # type: ignore[misc]
    """One line for each request, and one for each answer, over a Unix socket."""

    def __init__(self, path: str, document: dict[str, Any]) -> None:
        super().__init__()
        self.path = path
        self.python_names = {name: caseswitcher.to_snake(RENAMED.get(name, name)) for name in _names(document)}
        self.wire_names = {python: name for name, python in self.python_names.items()}

    async def _send_and_get_json(self, request_json: str, request_id: int, **_: Any) -> dict[str, Any]:
        request = json.loads(request_json)
        reader, writer = await asyncio.open_unix_connection(self.path, limit=2**24)
        try:
            request["params"] = self._renamed(request.get("params") or {}, self.wire_names)
            writer.write(json.dumps(request).encode() + b"\n")
            return dict(self._renamed(json.loads(await reader.readline()), self.python_names))
        finally:
            writer.close()
            await writer.wait_closed()

    def _renamed(self, value: Any, names: dict[str, str]) -> Any:
        if isinstance(value, list):
            return [self._renamed(each, names) for each in value]
        if not isinstance(value, dict):
            return value
        return {names.get(key, key): self._renamed(each, names) for key, each in value.items()}

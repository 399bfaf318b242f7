"""A client of kmesh-bypassd in one file, without a dependency, for Python 3.11 or later: copy it.

    from kmesh_bypass import Client

    with Client() as client:
        result = client.bypass("web", "on", ttl=900, owner="alice", reason="INC-4711")
        for warning in result["warnings"]:
            print(warning["code"], warning["message"])

methods.md describes the methods and their results; the types here have the same names. Use a client in one thread at a
time.
"""

import json
import os
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Literal, NotRequired, Self, TypedDict, cast

SOCKET = os.environ.get("KMESH_BYPASSD_SOCKET") or "/run/kmesh/bypassd.sock"

BypassState = Literal["on", "off"]
State = Literal["on", "off", "degraded"]
Direction = Literal["both", "inbound", "outbound"]
Effect = Literal["all", "some", "none", "nothing-to-bypass"]
OpenConnections = Literal["keep", "reset"]
TransportProtocol = Literal["tcp", "udp"]
EventName = Literal["on", "off", "expired", "degraded", "repaired", "gone"]
TraceEndReason = Literal["time", "count", "gone", "failed"]


class ConnectionSet(TypedDict):
    ports: NotRequired[list[int | str] | None]
    networks: NotRequired[list[str] | None]


class Peer(TypedDict):
    uid: int
    gid: int
    pid: int


class Rule(TypedDict):
    family: str
    table: str
    chain: str
    handle: int
    packets: int
    bytes: int


class BypassWarning(TypedDict):
    # A later version of the daemon may have codes that this file does not know.
    code: str
    message: str


# Python cannot write members that are keywords in a class.
_Except = TypedDict("_Except", {"except": ConnectionSet | None})
_From = TypedDict("_From", {"from": str | None})
_Sender = TypedDict("_Sender", {"from": str})


class ExpiredBypass(TypedDict):
    at: str
    owner: str | None


class BypassStatus(_Except):
    netns: str
    inode: int
    state: State
    effective: bool
    effect: Effect
    redirected: bool | None
    direction: Direction | None
    only: ConnectionSet | None
    cgroup: int | None
    since: str | None
    expiresAt: str | None
    owner: str | None
    reason: str | None
    setBy: Peer | None
    generation: int
    expired: ExpiredBypass | None
    rules: list[Rule]
    warnings: list[BypassWarning]


class BypassResult(BypassStatus):
    changed: bool
    ended: int
    removed: list[str]


class Step(TypedDict):
    hook: str
    priority: int
    family: str
    table: str
    chain: str
    rule: str | None
    verdict: str
    decides: bool


class End(TypedDict):
    at: Literal["application", "sidecar", "dropped", "unknown"]
    port: int | None
    process: str | None
    listening: bool | None


class Probe(_From):
    direction: Direction
    family: str
    protocol: TransportProtocol
    to: str
    source: Literal["trace", "rules"]
    steps: list[Step]
    ends: End


class ExplainResult(TypedDict):
    netns: str
    inode: int
    probes: list[Probe]
    warnings: list[BypassWarning]


class TraceResult(TypedDict):
    netns: str
    inode: int
    seconds: int
    count: int
    warnings: list[BypassWarning]


class ConnectionEvent(_Sender):
    time: str
    direction: Direction
    family: str
    protocol: TransportProtocol
    to: str
    ends: End
    source: Literal["trace", "rules"]
    rules: list[Step]


class LeftOutConnections(TypedDict):
    connections: int


class TraceEnd(TypedDict):
    reason: TraceEndReason
    connections: int
    leftOut: int


TraceEvent = (
    tuple[Literal["connection"], ConnectionEvent]
    | tuple[Literal["left-out"], LeftOutConnections]
    | tuple[Literal["trace-ended"], TraceEnd]
)


class ListResult(TypedDict):
    bypasses: list[BypassStatus]
    warnings: list[BypassWarning]


class SubscribeResult(TypedDict):
    stream: str
    sequence: int
    bypasses: list[BypassStatus] | None
    warnings: list[BypassWarning]


class EventCause(TypedDict):
    by: Peer | None
    owner: str | None
    reason: str | None


class BypassEvent(TypedDict):
    sequence: int
    bypass: BypassStatus
    cause: EventCause | None
    damage: list[str] | None
    removed: list[str] | None


class ClearedBypass(TypedDict):
    netns: str
    inode: int


class ClearFailure(ClearedBypass):
    message: str


class ClearResult(TypedDict):
    cleared: list[ClearedBypass]
    failed: list[ClearFailure]


class MetricsResult(TypedDict):
    contentType: str
    text: str


class Matcher(TypedDict):
    pin: str
    tag: str


class InfoResult(TypedDict):
    name: str
    version: str
    commit: str | None
    protocol: int
    kernel: str
    uptimeSeconds: int
    bypassed: int
    matcher: Matcher


class BypassError(Exception):
    """An error that the daemon answered: errors.md lists the codes and kinds."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.data: dict[str, str] = error.get("data") or {}
        # None of JSON-RPC's standard errors.
        self.kind: str | None = self.data.get("kind")


class Client:
    """A connection to the daemon. Raises BypassError if the daemon refuses a call, and OSError if the connection fails."""

    def __init__(self, path: str = SOCKET, timeout: float | None = 30) -> None:
        """Connects; an answer may take `timeout` seconds."""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
            self._lines = self._socket.makefile("rb")
        except BaseException:
            self._socket.close()
            raise
        self._id = 0

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def bypass(
        self,
        netns: str,
        state: BypassState,
        *,
        direction: Direction | None = None,
        ttl: int | None = None,
        owner: str | None = None,
        reason: str | None = None,
        if_generation: int | None = None,
        if_owner: str | None = None,
        expect_addresses: list[str] | None = None,
        only: ConnectionSet | None = None,
        except_: ConnectionSet | None = None,
        connections: OpenConnections | None = None,
        foreign: bool | None = None,
        cgroup: int | None = None,
    ) -> BypassResult:
        """Turns the bypass of one network namespace on or off."""
        params = {
            "netns": netns, "state": state, "direction": direction, "ttl": ttl, "owner": owner, "reason": reason,
            "ifGeneration": if_generation, "ifOwner": if_owner, "expectAddresses": expect_addresses, "only": only,
            "except": except_, "connections": connections, "foreign": foreign, "cgroup": cgroup,
        }  # fmt: skip
        return cast(BypassResult, self.call("bypass", params))

    def extend(self, netns: str, ttl: int, *, if_generation: int | None = None) -> BypassResult:
        """Extends the time to live of a bypass."""
        return cast(BypassResult, self.call("extend", {"netns": netns, "ttl": ttl, "ifGeneration": if_generation}))

    def status(self, netns: str, *, expect_addresses: list[str] | None = None) -> BypassStatus:
        """Shows the bypass of one network namespace."""
        params = {"netns": netns, "expectAddresses": expect_addresses}
        return cast(BypassStatus, self.call("status", params))

    def explain(
        self,
        netns: str,
        *,
        to: str | None = None,
        from_: str | None = None,
        protocol: TransportProtocol | None = None,
        uid: int | None = None,
    ) -> ExplainResult:
        """Shows the path of a connection's first packet through one network namespace."""
        params = {"netns": netns, "to": to, "from": from_, "protocol": protocol, "uid": uid}
        return cast(ExplainResult, self.call("explain", params))

    def trace(self, netns: str, *, seconds: int | None = None, count: int | None = None) -> "Trace":
        """Streams each new connection of one network namespace: iterate over what this returns, and use no other method."""
        result = cast(TraceResult, self.call("trace", {"netns": netns, "seconds": seconds, "count": count}))
        self._socket.settimeout(None)
        return Trace(self, result)

    def list(self) -> ListResult:
        """Lists every bypassed network namespace."""
        return cast(ListResult, self.call("list"))

    def subscribe(self, stream: str | None = None, sequence: int | None = None) -> "Subscription":
        """Streams every change of a bypass: iterate over what this returns, and use no other method of this client.

        After a lost connection, give a new client the `stream` and `sequence` of the old subscription: no event is missed.
        """
        result = cast(SubscribeResult, self.call("subscribe", {"stream": stream, "sequence": sequence}))
        # From now on the daemon may be silent for as long as nothing changes.
        self._socket.settimeout(None)
        return Subscription(self, result)

    def clear(self, owner: str | None = None) -> ClearResult:
        """Ends every bypass, or every bypass of one owner."""
        return cast(ClearResult, self.call("clear", {"owner": owner}))

    def metrics(self) -> MetricsResult:
        """Shows the daemon's metrics in Prometheus' text format."""
        return cast(MetricsResult, self.call("metrics"))

    def info(self) -> InfoResult:
        """Shows the name, versions, kernel and matcher of the daemon."""
        return cast(InfoResult, self.call("info"))

    def discover(self) -> dict[str, Any]:
        """Returns the OpenRPC document of the daemon."""
        return cast(dict[str, Any], self.call("rpc.discover"))

    def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Calls a method by its name. A parameter that is None is left out."""
        self._id += 1
        given = {name: value for name, value in (params or {}).items() if value is not None}
        request = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": given}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self._receive()
            # None: an error that ends the connection, such as a limit's.
            if "id" in message and message["id"] in (self._id, None):
                break
        if "error" in message:
            raise BypassError(message["error"])
        return message["result"]

    def _receive(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("kmesh-bypassd closed the connection")
        return cast(dict[str, Any], json.loads(line))


class Subscription:
    """Iterates over the events that follow; `result` has the bypasses that were there before."""

    def __init__(self, client: Client, result: SubscribeResult) -> None:
        self._client = client
        self.result = result
        self.stream = result["stream"]
        # Of the last event that was received.
        self.sequence = result["sequence"]

    def __iter__(self) -> Iterator[tuple[EventName, BypassEvent]]:
        """Raises BypassError if this client was too slow, and ConnectionError if the daemon closes the connection."""
        while True:
            message = self._client._receive()
            if "error" in message:
                raise BypassError(message["error"])
            event = cast(BypassEvent, message["params"])
            self.sequence = event["sequence"]
            yield message["method"], event


class Trace:
    """Iterates over `connection` and `left-out`, with their parameters, and ends with `trace-ended`."""

    def __init__(self, client: Client, result: TraceResult) -> None:
        self._client = client
        self.result = result

    def __iter__(self) -> Iterator[TraceEvent]:
        """Raises BypassError if this client was too slow, and ConnectionError if the daemon closes the connection."""
        while True:
            message = self._client._receive()
            if "error" in message:
                raise BypassError(message["error"])
            yield cast(TraceEvent, (message["method"], message["params"]))
            if message["method"] == "trace-ended":
                return

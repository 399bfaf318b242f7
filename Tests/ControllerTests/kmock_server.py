"""An API server that others wrote (kmock, from PyPI), for the controller to be tried against.

kmock_server.py [CERTIFICATE KEY TOKEN]     with them: by TLS, and for who sends the token

Prints the port of 127.0.0.1 that it listens on, and serves until its standard input is closed. Tests and kubectl make
pods, label them and delete them as they would at a real one.

HTTP, the objects, merge patches and the stream of what happens to the objects are kmock's. What kmock leaves out, and
every controller relies on, is put around that: UIDs, resource versions, preconditions, selectors, bookmarks and the end
of a watch. kmock streams what happens, not what has happened: a watch that would have to begin with the end of an
object is refused with 410 Gone, as a real server does with what it has forgotten. Lists come whole, whatever the limit.
"""

import asyncio
import datetime
import os
import re
import ssl
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp.test_utils
import aiohttp.web
import kmock

Object = Mapping[str, Any]
Predicate = Callable[[Object], bool]

# Seconds between two bookmarks of a watch; a real server's minute would outlast the tests.
BOOKMARK_INTERVAL = 1.0
REQUIREMENT = re.compile(r"([^\s!=()]+)(?:(!=|==?)([^\s!=()]*))?")


def version(thing: Object) -> int:
    return int(thing["metadata"]["resourceVersion"])


def at_version(thing: Object, number: int) -> dict[str, Any]:
    return {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(number)}}


def state(history: kmock.ObjectHistory, number: int) -> kmock.ObjectVersion | None:
    """What an object was like at a resource version; None if it was not there."""
    last: kmock.ObjectVersion | None = None
    for entry in history:
        if entry is not None and version(entry) > number:
            break
        last = entry
    return last


def field(thing: Object, path: str) -> str:
    value: Any = thing
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)


def label(thing: Object, key: str) -> str | None:
    found: str | None = (thing["metadata"].get("labels") or {}).get(key)
    return found


def selector(text: str, read: Callable[[Object, str], str | None]) -> Predicate:
    """A label or field selector: of `a=b`, `a!=b` and `a`, those that are there must all hold."""
    checks: list[tuple[str, str | None, str]] = []
    for part in filter(None, text.split(",")):
        match = REQUIREMENT.fullmatch(part.strip())
        if match is None:
            raise kmock.KubernetesError(400, "BadRequest", f"unable to parse requirement: {part}")
        checks.append((match[1], match[2], match[3]))

    def holds(thing: Object, key: str, operator: str | None, wanted: str) -> bool:
        value = read(thing, key)
        if operator is None:
            return value is not None
        return (value != wanted) if operator == "!=" else (value == wanted)

    return lambda thing: all(holds(thing, *check) for check in checks)


def selection(request: kmock.Request) -> Predicate:
    """What a list or watch is about."""
    labels = selector(request.params.get("labelSelector", ""), label)
    fields = selector(request.params.get("fieldSelector", ""), field)
    namespace = request.namespace
    return lambda thing: namespace in (None, thing["metadata"].get("namespace")) and labels(thing) and fields(thing)


class Cluster(kmock.KubernetesEmulator):
    """What kmock emulates, with what makes a list and a watch from there on add up."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._version = 1
        # Resource versions are given out in the order of the changes.
        self._changes = asyncio.Lock()
        verbs = ["create", "delete", "get", "list", "patch", "watch"]
        for plural, kind, short in ("pods", "Pod", "po"), ("events", "Event", "ev"):
            self.resources[f"v1/{plural}"] = kmock.ResourceInfo(
                namespaced=True, kind=kind, singular=kind.lower(), verbs=verbs, shortnames=[short]
            )
        self._token: str | None = None
        # This comes before kmock's own.
        self[kmock.action.WATCH] << kmock.headers({"Content-Type": "application/json"}) << self._watch

    async def __call__(self, raw_request: aiohttp.web.BaseRequest) -> aiohttp.web.StreamResponse:
        if self._token is not None and raw_request.headers.get("Authorization") != f"Bearer {self._token}":
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401}
            return aiohttp.web.json_response(status, status=401)
        # kmock knows a watch by the word `true` alone.
        if raw_request.query.get("watch") == "1":
            raw_request = raw_request.clone(rel_url=raw_request.rel_url.update_query(watch="true"))
        return await super().__call__(raw_request)

    async def _handle(self, request: kmock.Request) -> aiohttp.web.StreamResponse:
        try:
            if request.action not in (kmock.action.CREATE, kmock.action.UPDATE, kmock.action.DELETE):
                return await super()._handle(request)
            async with self._changes:
                self._version += 1
                self._stamp(request, str(self._version))
                return await super()._handle(request)
        finally:
            # kmock goes through all that it remembers with every request: it became slow after some hundred.
            self._requests.remove(request)

    def _stamp(self, request: kmock.Request, number: str) -> None:
        """Adds to a change what a real server would."""
        if request.action == kmock.action.DELETE:
            if (held := self._held(request)) is not None:
                held.patch({"metadata": {"resourceVersion": number}})
            return
        if not isinstance(request.data, dict):
            raise kmock.KubernetesError(415, "UnsupportedMediaType", "send a JSON object: an object, or a merge patch")
        metadata = request.data.setdefault("metadata", {})
        if request.action == kmock.action.CREATE:
            metadata.setdefault("namespace", request.namespace)
            # A pod's UID names its control group, so a test may have made one before the pod.
            metadata.setdefault("uid", str(uuid.uuid4()))
            now = datetime.datetime.now(tz=datetime.UTC)
            metadata.setdefault("creationTimestamp", now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        elif (held := self._held(request)) is not None:
            for name in "uid", "resourceVersion":
                there = held["metadata"][name]
                if metadata.get(name, there) != there:
                    message = f"Precondition failed: {name} is {there}, not {metadata[name]}"
                    raise kmock.KubernetesError(409, "Conflict", message)
        metadata["resourceVersion"] = number

    def _held(self, request: kmock.Request) -> kmock.Object | None:
        """The object that a request names."""
        if request.resource is None or request.name is None:
            return None
        key = (request.resource, request.namespace, request.name)
        return self.objects[key] if key in self.objects and not self.objects[key].deleted else None

    async def _serve_version(self, request: kmock.Request) -> kmock.Payload:
        # kmock calls the core's version `/v1`, and kubectl does not find it then.
        served: Any = await super()._serve_version(request)
        return {**served, "groupVersion": served["groupVersion"].removeprefix("/")}

    def _type(self, request: kmock.Request) -> dict[str, str]:
        """What the objects are that a request is about."""
        assert request.resource is not None
        group, number, plural = request.resource.group, request.resource.version, request.resource.plural
        kind = self.resources[request.resource].kind if request.resource in self.resources else None
        return {"kind": kind or f"{plural}".capitalize(), "apiVersion": f"{group}/{number}" if group else f"{number}"}

    async def _serve_list(self, request: kmock.Request) -> kmock.Payload:
        selects = selection(request)
        async with self._changes:
            listed: Any = await super()._serve_list(request)
            of = self._type(request)
            return {
                "kind": of["kind"] + "List",
                "apiVersion": of["apiVersion"],
                "metadata": {"resourceVersion": str(self._version)},
                "items": [item for item in listed["items"] if selects(item)],
            }

    async def _watch(self, request: kmock.Request) -> AsyncIterator[kmock.Payload]:
        selects = selection(request)
        happened: asyncio.Queue[Any] = asyncio.Queue()
        # kmock begins with all that is there. No change may come between that and what the client knows.
        async with self._changes:
            known = self._known(request, selects)
            reader = asyncio.create_task(self._read(request, happened))
            await asyncio.sleep(0)
            # In the order of the changes: the client goes on from the last version that it has seen.
            there = [happened.get_nowait() for _ in range(happened.qsize())]
            for event in sorted(there, key=lambda event: version(event["object"])):
                happened.put_nowait(event)
        try:
            yield b""
            async for event in self._in_time(request, happened):
                seen = self._seen(event, known, selects, int(request.params.get("resourceVersion") or 0))
                if seen is not None:
                    yield seen
        finally:
            reader.cancel()

    async def _read(self, request: kmock.Request, happened: asyncio.Queue[Any]) -> None:
        """Takes all that kmock streams, at once: what is not waited for when it happens is lost."""
        async for event in self._serve_watch(request):
            if event:
                happened.put_nowait(event)

    def _known(self, request: kmock.Request, selects: Predicate) -> dict[str, Object]:
        """The objects, by UID, that a client knows who has seen all up to the version that it asks from."""
        known: dict[str, Object] = {}
        since = int(request.params.get("resourceVersion") or 0)
        for (resource, _, _), held in self.objects.items():
            before = state(held.history, since)
            if resource != request.resource or before is None or not selects(before):
                continue
            if held.deleted or not selects(held) or held["metadata"]["uid"] != before["metadata"]["uid"]:
                raise kmock.KubernetesError(410, "Expired", f"too old resource version: {since} ({self._version})")
            known[before["metadata"]["uid"]] = before.raw
        return known

    @staticmethod
    def _seen(event: Any, known: dict[str, Object], selects: Predicate, since: int) -> kmock.Payload:
        """What an event is to a client that has selected some objects, and knows those; None if it is nothing."""
        thing, kind = event["object"], event["type"]
        if kind == "BOOKMARK":
            return {**event}
        if version(thing) <= since:
            return None
        key = thing["metadata"]["uid"]
        before = known.pop(key, None)
        if kind != "DELETED" and selects(thing):
            known[key] = thing
            return {"type": "ADDED" if before is None else "MODIFIED", "object": thing}
        # What is no longer selected is sent in its last state.
        return None if before is None else {"type": "DELETED", "object": at_version(before, version(thing))}

    async def _in_time(self, request: kmock.Request, happened: asyncio.Queue[Any]) -> AsyncIterator[Any]:
        """What happens, with bookmarks in between, until the time that the client has given the watch is over."""
        clock = asyncio.get_running_loop()
        end = clock.time() + int(request.params.get("timeoutSeconds") or 3600)
        while (left := end - clock.time()) > 0:
            before = self._version
            try:
                yield await asyncio.wait_for(happened.get(), min(left, BOOKMARK_INTERVAL))
            except TimeoutError:
                if request.params.get("allowWatchBookmarks") in ("1", "true") and self._version == before:
                    place = {"metadata": {"resourceVersion": str(before)}}
                    yield {"type": "BOOKMARK", "object": self._type(request) | place}


class TLSServer(aiohttp.test_utils.RawTestServer):
    """With the certificate and the key that the command line names."""

    async def start_server(self, **options: Any) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*sys.argv[1:3])
        await super().start_server(ssl=context, **options)


async def main() -> None:
    is_secure = len(sys.argv) > 1
    kind = TLSServer if is_secure else aiohttp.test_utils.RawTestServer
    async with Cluster() as cluster, kmock.Server(cluster, server_cls=kind) as server:
        cluster._token = sys.argv[3] if is_secure else None
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.buffer.read)
        # An orderly end would wait for every watch, and nothing needs one.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())

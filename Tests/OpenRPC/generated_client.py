#!/usr/bin/env python3
"""Calls a live daemon with the client that was generated from its document.

generated_client.py SOCKET NETNS DOCUMENT
"""

import asyncio
import json
import sys
from pathlib import Path

from jsonrpcobjects.errors import JSONRPCError
from kmesh_bypassd_http_client.client import KmeshBypassdClient
from kmesh_bypassd_http_client.models import BypassState, ConnectionSet, Direction, State, WarningCode

from transport import SocketTransport


async def main() -> None:
    path, netns, document = sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text())
    client = KmeshBypassdClient(headers={})
    client.transport = client.rpc.transport = SocketTransport(path, document)
    on = await client.bypass(
        netns,
        BypassState.ON,
        direction=Direction.OUTBOUND,
        ttl=900,
        owner="naïve",
        only=ConnectionSet(ports=[80, "9000-9100"]),
        except_for=ConnectionSet(networks=["fd00::/8"]),
    )
    assert on.changed and on.state is State.ON and on.only is not None and on.only.ports == [80, "9000-9100"]
    assert on.except_for is not None and on.except_for.networks == ["fd00::/8"]
    assert on.since is not None and on.expires_at is not None and (on.expires_at - on.since).seconds in (899, 900, 901)
    assert on.set_by is not None and on.set_by.uid == 0
    listed = (await client.list()).bypasses
    assert [each.inode for each in listed] == [on.inode]
    explained = await client.explain(netns, to="192.0.2.1:81")
    assert explained.probes[0].steps and explained.probes[0].direction is Direction.OUTBOUND
    extended = await client.extend(netns, 1800, if_generation=on.generation)
    assert extended.changed and extended.generation > on.generation
    assert (await client.info()).protocol == 1
    assert await client.rpc.discover() != {}
    snapshot = await client.subscribe()
    assert snapshot.bypasses is not None and snapshot.bypasses[0].owner == "naïve"
    peer = await client.bypass(sys.argv[4], BypassState.ON)
    assert [each.code for each in peer.warnings] == [WarningCode.NO_INTERCEPTION]
    try:
        await client.status("none-of-these")
        raise AssertionError("it is not refused")
    except JSONRPCError as error:
        assert error.rpc_error.code == -32002, error
    cleared = await client.clear()
    assert {each.inode for each in cleared.cleared} == {on.inode, peer.inode} and cleared.failed == []
    assert "kmesh_bypass_build_info" in (await client.metrics()).text
    print("ok")


asyncio.run(main())

"""A server that has ended keeps nothing: neither its memory nor a connection to AWS."""

import gc
import importlib
import weakref
from typing import Any

import anyio
import pytest
from fastmcp import Client
from tests.integration.servers import SERVERS

from opswright_core.settings import Settings


@pytest.mark.parametrize("name", SERVERS)
async def test_a_server_that_ended_leaves_no_memory_held(
    name: str, settings: Settings, cloud: Any
) -> None:
    server = importlib.import_module(f"opswright_{name}.server").create_server(settings)
    gone = [weakref.ref(server), weakref.ref(server.opswright_runtime)]
    async with Client(server) as client:
        await client.list_tools()
        for resource in await client.list_resources():
            await client.read_resource(resource.uri)
        await client.call_tool("can_handle", {"task": "say what runs here"})
    del server, client
    for _ in range(100):  # a thread that has answered may hold its call for a moment yet
        gc.collect()
        if (held := [type(ref()).__name__ for ref in gone if ref() is not None]) == []:
            break
        await anyio.sleep(0.05)
    assert held == []


async def test_the_clients_of_a_server_that_ended_are_closed(
    settings: Settings, cloud: Any
) -> None:
    from opswright_cost.server import create_server

    server: Any = create_server(settings)
    async with Client(server) as client:
        await client.call_tool("find_waste", {})
        session = server.opswright_runtime.aws_sessions.open()
        ec2 = session.client("ec2")
        pools = ec2._endpoint.http_session._manager.pools
        assert len(pools) == 1
        assert session.client("ec2") is ec2
    assert len(pools) == 0
    assert session.client("ec2") is not ec2, "a later use makes a new one"
    assert session.client("ec2").describe_vpcs()["Vpcs"]
    session.close()


def test_sessions_share_the_models_of_the_services(cloud: Any) -> None:
    from opswright_core.aws import AwsSessions, AwsTarget

    one, other = AwsSessions().open(), AwsSessions().open(AwsTarget(region="us-east-1"))
    models = [a.session._session.get_component("data_loader") for a in (one, other)]
    assert models[0] is models[1]
    assert len(models[0].search_paths) == len(set(models[0].search_paths))

"""The smallest server on the SDK alone: what no server written in Python can be quicker than."""

import asyncio
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

GREET = types.Tool(
    name="greet",
    description="Greet someone.",
    input_schema={"type": "object", "properties": {"name": {"type": "string"}}},
)


async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[GREET])


async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    text = f"Hello {(params.arguments or {})['name']}"
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


async def main() -> None:
    server: Any = Server("hello", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())

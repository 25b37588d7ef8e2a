"""The official client of MCP on Gatepost's own endpoint: lists the tools, and calls those that the arguments name, in order.

Arguments: the endpoint, the generation of the protocol (`auto` or `legacy`), and pairs of a tool and its arguments as JSON. The
key is in GATEPOST_KEY. Prints a line of JSON for the list and for each call.
"""

import asyncio
import json
import os
import sys

from mcp import Client, MCPError
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client


async def main(url: str, mode: str, calls: list[str]) -> None:
    headers = {"Authorization": f"Bearer {os.environ['GATEPOST_KEY']}"}
    async with create_mcp_http_client(headers=headers) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            tools = await client.list_tools()
            print(json.dumps({"tools": [tool.name for tool in tools.tools]}), flush=True)
            for tool, arguments in zip(calls[::2], calls[1::2]):
                try:
                    result = await client.call_tool(tool, json.loads(arguments))
                    answer = {"answer": result.structured_content, "is_error": result.is_error}
                except MCPError as error:
                    answer = {"error": error.error.message, "code": error.error.code, "data": error.error.data}
                print(json.dumps(answer), flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))

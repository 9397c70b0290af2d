"""An MCP host over PyPI's mcp: connects to the server named, then answers one JSON line for each JSON line.

Usage: mcp_bridge.py COMMAND ARGUMENT...; a line is [method of Client, its arguments...].
"""

import asyncio
import json
import sys

from mcp import Client, StdioServerParameters

command, *arguments = sys.argv[1:]


async def main() -> None:
    async with Client(StdioServerParameters(command=command, args=arguments)) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            method, *values = json.loads(line)
            try:
                result = await getattr(client, method)(*values)
                answer = {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}
            except Exception as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)


asyncio.run(main())

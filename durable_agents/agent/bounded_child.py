"""Runs a reader of what may be hostile as a script, in a process of its own with bounds."""

import asyncio
import json
import os
import sys
from typing import Any

_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")  # nothing that it could give away


class UnreadableError(Exception):
    """Something takes more time or memory than reading it is worth."""


async def read_in_child(
    script: str, content: bytes, *, cpu_seconds: int, memory_bytes: int, wall_seconds: float
) -> dict[str, Any]:
    """Give content to a script's standard input, and read JSON from its standard output.

    Args:
        script: Its file. It takes the seconds of CPU and the bytes of memory as its arguments,
            and holds itself to them.
        content: What is to be read.
        cpu_seconds: What it may use.
        memory_bytes: What it may use.
        wall_seconds: How long it is waited for.

    Raises:
        UnreadableError: It took more CPU or memory.
        TimeoutError: It was not done in time, because the machine is busy.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", script, str(cpu_seconds), str(memory_bytes)),
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(wall_seconds):
            output, _ = await child.communicate(content)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise UnreadableError
    return json.loads(output)

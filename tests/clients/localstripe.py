"""localstripe, a stand-in for Stripe's API, as a process on a free port of loopback."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx2

from durable_agents.runtime.embedded.ports import free_port
from tests.workflows.runs import until

DECLINED = "pm_card_chargeCustomerFail"  # what localstripe declines when it is charged
READY_S = 30
SERVER = """
import sys

from aiohttp import web
from localstripe import resources, server

resources.Store.dump_to_disk = lambda store: None  # else it writes to /tmp
listed = resources.PaymentIntent._api_list_all


def bounded(url, created=None, **page):
    # Stripe's list begins with the newest and takes bounds of time; localstripe's does neither.
    found, oldest = listed(url, **page), int((created or {}).get("gte", 0))
    found._list = [intent for intent in reversed(found._list) if intent.created >= oldest]
    return found


resources.PaymentIntent._api_list_all = staticmethod(bounded)
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


@asynccontextmanager
async def running_localstripe(folder: Path) -> AsyncGenerator[str]:
    """Run it in a folder; gives its address."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        "-c",
        SERVER,
        str(port),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await until(partial(_answers, url), "localstripe answers", within=READY_S)
        yield url
    finally:
        process.kill()
        await process.wait()


async def _answers(url: str) -> bool:
    async with httpx2.AsyncClient(trust_env=False) as http:
        try:
            await http.get(f"{url}/v1/payment_intents")
        except httpx2.TransportError:
            return False
    return True

"""A process that holds embedded services until it is killed, for tests that kill it.

Arguments: the settings as JSON. Prints one JSON line when all is ready.
"""

import asyncio
import json
import os
import signal
import sys

from durable_agents.runtime.embedded.services import EmbeddedServices
from durable_agents.runtime.settings import Settings


async def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    async with EmbeddedServices(settings) as services:
        child = await services.add_child(["sleep", "1000"], "sleeper")
        print(json.dumps({"pid": os.getpid(), "sleeper": child.pid}), flush=True)
        failure = await services.wait_for_failure()
        print(failure.message, flush=True)


asyncio.run(main())

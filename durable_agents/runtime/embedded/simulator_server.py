"""The simulator as a child: stands in for the model and the weather while none is configured."""

import signal
import sys
from typing import Any

from durable_agents.runtime.embedded.child import ChildSpec
from durable_agents.runtime.embedded.children import Children
from durable_agents.runtime.embedded.parts import Stage
from durable_agents.runtime.embedded.ports import LOOPBACK, answers, choose_port
from durable_agents.runtime.settings import SIMULATOR_MODEL, Settings

_EMBEDDING_MODEL = "simulator-embedding-1"
_READY_S = 30.0


async def start_simulator(settings: Settings, children: Children) -> str:
    """Start the simulator; gives its URL.

    Raises:
        ConfigurationError: Its port is taken, or it does not start.
    """
    port = choose_port(settings.simulator_port, variable="SIMULATOR_PORT", purpose="the simulator")
    child = await children.start(
        ChildSpec(
            name="simulator",
            argv=[sys.executable, "-m", "durable_agents.simulator", "--port", str(port)],
            stage=Stage.SIMULATOR,
            rescue=((signal.SIGTERM, 0.5),),
        )
    )
    await child.wait_until(lambda: answers(port, path="/healthz"), seconds=_READY_S)
    return f"http://{LOOPBACK}:{port}"


def simulator_values(url: str) -> dict[str, Any]:
    """Give the settings, by field name, with which the simulator at this URL is used."""
    return {
        "simulator_url": url,
        "openai_base_url": f"{url}/v1",
        "openai_api_key": "simulator",
        "openai_model": SIMULATOR_MODEL,
        "openai_embedding_model": _EMBEDDING_MODEL,
        "geocoding_url": url,
        "forecast_url": url,
        "fetch_allow": [url.removeprefix("http://")],
    }

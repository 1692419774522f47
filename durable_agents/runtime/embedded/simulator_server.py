"""The simulator as a child: stands in for the model and the weather while none is configured."""

import signal
import sys

from durable_agents.runtime.embedded.child import ChildSpec
from durable_agents.runtime.embedded.children import Children
from durable_agents.runtime.embedded.parts import Stage
from durable_agents.runtime.embedded.ports import LOOPBACK, answers, choose_port
from durable_agents.runtime.settings import Settings

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

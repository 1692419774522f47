"""Serves the simulator: `python -m durable_agents.simulator --port 8230 [--latency 1.0]`.

It listens on loopback; in a container, `--host 0.0.0.0` lets the other containers in.
"""

import argparse
import os
import sys

from durable_agents.simulator.serving import HOST, serve


def main() -> int:
    """Read the arguments and serve; 1 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m durable_agents.simulator", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=int(os.environ.get("SIMULATOR_PORT", "8230")), help="0: any"
    )
    parser.add_argument("--host", default=HOST, help=f"where to listen; {HOST} when left out")
    parser.add_argument(
        "--latency",
        type=float,
        default=float(os.environ.get("SIMULATOR_LATENCY_S", "0")),
        help="seconds that each answer takes longer",
    )
    arguments = parser.parse_args()
    try:
        serve(arguments.port, arguments.latency, _announce, host=arguments.host)
    except OSError as error:
        sys.stderr.write(
            f"The simulator cannot listen on {arguments.host}:{arguments.port} ({error.strerror}). "
            "Stop what listens there, or choose another --port.\n"
        )
        return 1
    return 0


def _announce(url: str) -> None:
    sys.stdout.write(f"simulator ready on {url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""Run worker processes as a service; the same as `python -m workers`."""

from typing import Annotated

import typer

from workers.__main__ import main as serve
from workers.roles import ROLES


def worker(
    role: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(ROLES)}; all.")] = None,
    processes: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
) -> None:
    """Run worker processes as a service; the same as `python -m workers`."""
    roles = [part for name in role or () for part in ("--role", name)]
    serve([*roles, "--processes", str(processes)])

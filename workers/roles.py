"""The names of the roles, and what a worker process and its supervisor tell each other.

Kept apart from the registry so that the supervisor stays small: it loads no workflow.
"""

from typing import Literal

Role = Literal["workflows", "llm", "tools", "pool"]
ROLES: tuple[Role, ...] = ("workflows", "llm", "tools", "pool")

READY = "ready"
"""What a process says on standard output once it polls."""

REFUSED = "refused: "
"""What a process says there, before the reason, when it cannot start as configured."""

WAITING = "waiting: "
"""What it says, before the reason, each time that it finds a part not there yet."""

ALIVE = "alive"
"""What it says now and then once it polls: its loop turns."""

EXIT_CONFIGURATION = 2
"""How a process ends that cannot start as configured: starting it again would not help."""

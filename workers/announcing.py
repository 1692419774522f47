"""What the supervisor tells the service manager: that it is ready, how it is, that it ends."""

import asyncio
from collections.abc import Sequence

from durable_agents.runtime.service_manager import ServiceManager
from workers.supervisor import DRAIN_MARGIN_S, Supervisor

END_MARGIN_S = 5  # for the page of health, after the last process
NEXT_TRY_WITHIN_S = 120  # a pause and every part that may be slow to say no, with room


class Announcer:
    """Follows a supervisor and tells the manager what changes.

    Args:
        manager: Whom to tell.
        supervisor: What is followed.
        roles: What its processes run.
        grace_s: How long they may take to drain, in seconds.
    """

    def __init__(
        self,
        manager: ServiceManager,
        supervisor: Supervisor,
        roles: Sequence[str],
        *,
        grace_s: float,
    ) -> None:
        self._manager = manager
        self._supervisor = supervisor
        self._roles = ", ".join(roles)
        self._within_s = grace_s + DRAIN_MARGIN_S + END_MARGIN_S
        self._ready = False
        self._stopping = False

    def changed(self) -> None:
        """Tell what the supervisor has come to."""
        if self._supervisor.stopping:
            self._stop()
        elif self._supervisor.ready and not self._ready:
            self._ready = True
            self._manager.ready(self._now())
        elif self._supervisor.waiting:
            self._manager.starting(self._now(), within_s=NEXT_TRY_WITHIN_S)
        else:
            self._manager.status(self._now())

    def _stop(self) -> None:
        """Say once that it ends; what a process said last stays to be read where it failed."""
        if self._stopping:
            return
        self._stopping = True
        status = self._supervisor.complaint or "Draining: what runs is finished."
        self._manager.stopping(status, within_s=self._within_s)

    def _now(self) -> str:
        children = self._supervisor.children
        ready = sum(child.ready for child in children)
        told = f"{ready} of {len(children)} worker processes poll ({self._roles})."
        return f"{told} {self._supervisor.complaint}".rstrip() if ready < len(children) else told

    async def keep_alive(self) -> None:
        """Tell for as long as this loop runs that it does, twice in the time the manager gives."""
        while self._manager.watchdog_s:
            self._manager.alive()
            await asyncio.sleep(self._manager.watchdog_s / 2)

"""Touches the services that notify people, and the outbox that remembers what they were told."""

import asyncio

from temporalio import activity

from durable_agents.clients.notifications import Notifier, Target
from durable_agents.db import notifications
from durable_agents.db.engine import Database
from durable_agents.models.errors import ServiceUnavailableError
from durable_agents.models.notifications import NotificationStatus, NotifyInput, NotifyOutcome

NOT_TAKEN = "not taken, or no connection"
SILENT = "no answer in time"
UNKNOWN = "It may have been sent or not: a crash or a silence came before that could be noted."


class NotificationActivities:
    """Tell people something, once for each key and service.

    Args:
        database: Where the outbox is.
        notifier: Sends.
        resend_uncertain: Whether to send again what may have been sent.
    """

    def __init__(
        self, database: Database, notifier: Notifier, *, resend_uncertain: bool = False
    ) -> None:
        self._database = database
        self._notifier = notifier
        self._resend_uncertain = resend_uncertain

    @activity.defn(name="notify")
    async def notify(self, request: NotifyInput) -> NotifyOutcome:
        """Send a notification to every service that is configured; without any, keep it.

        Raises:
            ServiceUnavailableError: A service did not take it; those that did are not asked
                again.
            IdempotencyConflictError: The key was used before for another notification.
        """
        run_id = activity.info().workflow_run_id or ""
        if not self._notifier.targets:
            async with self._database.statement() as connection:
                await notifications.keep(connection, request, run_id=run_id)
            activity.logger.info("Notification kept, no address is configured: %s", request.title)
            return NotifyOutcome(status="kept")
        told = await asyncio.gather(
            *(self._tell(target, request, run_id) for target in self._notifier.targets)
        )
        missed = [
            target.service
            for target, outcome in zip(self._notifier.targets, told, strict=True)
            if outcome == "failed"
        ]
        if missed:
            raise ServiceUnavailableError(
                f"The notification was not sent by {', '.join(missed)}: {NOT_TAKEN}. "
                "Check NOTIFY_URLS."
            )
        if "uncertain" in told:
            return NotifyOutcome(status="uncertain", error=UNKNOWN)
        return NotifyOutcome(status="sent")

    async def _tell(self, target: Target, request: NotifyInput, run_id: str) -> NotificationStatus:
        """Claim, send, mark."""
        keyed = request.model_copy(update={"key": f"{request.key}@{target.name}"})
        async with self._database.transaction() as connection:
            claim = await notifications.claim(
                connection, keyed, run_id=run_id, resend_uncertain=self._resend_uncertain
            )
        if claim.standing != "claimed":
            return claim.standing
        return await deliver(self._database, self._notifier, target, claim.notification_id, keyed)


async def deliver(
    database: Database,
    notifier: Notifier,
    target: Target,
    notification_id: int,
    request: NotifyInput,
) -> notifications.Mark:
    """Send what is claimed, and mark it with what came of it."""
    outcome = await notifier.send(target, title=request.title, body=request.body)
    error = {"sent": "", "failed": NOT_TAKEN, "uncertain": SILENT}[outcome]
    async with database.statement() as connection:
        await notifications.mark(connection, notification_id, outcome, error)
    return outcome

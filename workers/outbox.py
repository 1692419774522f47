"""Sends again what may have been sent or not, where NOTIFY_RESEND_UNCERTAIN says so.

Once, when a process starts: a service that takes notifications and never says so would else be
sent the same one for ever.
"""

import logging

from activities.notifications import deliver
from durable_agents.clients.notifications import Notifier
from durable_agents.db import notifications
from durable_agents.db.engine import Database
from durable_agents.models.errors import DurableAgentsError
from durable_agents.models.notifications import NotifyInput

logger = logging.getLogger(__name__)


async def resend_at_start(database: Database, notifier: Notifier) -> None:
    """Send uncertain notifications again; a failure is logged."""
    try:
        await resend_uncertain(database, notifier)
    except DurableAgentsError as error:
        logger.warning("Uncertain notifications could not be sent again: %s", error)


async def resend_uncertain(database: Database, notifier: Notifier) -> int:
    """Send uncertain notifications again, each to its service if that is still configured.

    Returns:
        How many were sent.
    """
    targets = {target.name: target for target in notifier.targets}
    async with database.statement() as connection:
        found = await notifications.list_uncertain(connection)
    sent = 0
    for row in found:
        target = targets.get(row.key.rpartition("@")[2])
        if target is None:
            continue
        async with database.statement() as connection:
            if not await notifications.claim_uncertain(connection, row.notification_id):
                continue  # another process was quicker
        request = NotifyInput(key=row.key, user_id=row.user_id, title=row.title, body=row.body)
        outcome = await deliver(database, notifier, target, row.notification_id, request)
        sent += outcome == "sent"
    return sent

"""The reviewers' page as a part of `up`: started beside the workers, with a first way in."""

import getpass
import re
import sys

import httpx2

from durable_agents.db import access, people
from durable_agents.db.engine import Database
from durable_agents.models.errors import InputError
from durable_agents.runtime.embedded.ports import choose_port
from durable_agents.runtime.embedded.services import EmbeddedServices
from durable_agents.runtime.settings import Settings
from inbox.site import site_of
from starters.users import link_of

READY_S = 30
GRACE_S = 8
SOMEBODY = "first"  # where the system has no usable name for whoever runs this


def choose_inbox_port(services: EmbeddedServices) -> int:
    """Choose where the page will listen, and write its address into `run.json`.

    That comes before the workers start: they read it there, for the links of what they notify.

    Raises:
        ConfigurationError: Its port is taken, or it may not listen there.
    """
    settings = services.settings
    port = choose_port(settings.inbox_port, variable="INBOX_PORT", purpose="the reviewers' page")
    site = site_of(settings, settings.inbox_host, port)
    if not settings.inbox_url:
        services.announce(inbox_url=site.url)
    return port


async def start_inbox(services: EmbeddedServices, port: int) -> None:
    """Start the page, and wait until it answers.

    Raises:
        ConfigurationError: It does not start.
    """
    settings = services.settings
    child = await services.add_child(
        [sys.executable, "-m", "starters.inbox"],
        "inbox",
        env={"INBOX_PORT": str(port), "PYTHONUNBUFFERED": "1"},
        grace_s=GRACE_S,
    )
    await child.wait_until(lambda: _answers(settings.inbox_host, port), seconds=READY_S)


async def link_for_first_reviewer(settings: Settings) -> str:
    """The one-time link of a first reviewer; empty when somebody has come in already.

    The reviewer has the name of whoever runs this, and is made if nobody has it.
    """
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    try:
        async with database.transaction() as connection:
            if not await people.nobody_can_review(connection):
                return ""
            name = _name_of_user()
            known = {person.name: person for person in await people.list_users(connection)}
            person = known.get(name) or await people.add_user(connection, name)
            if person.disabled or not person.is_meant_by(""):
                return ""
            return link_of(settings, await access.create_link(connection, person.user_id))
    except InputError:  # the name is that of a role: whoever runs this adds somebody
        return ""
    finally:
        await database.close()


def _name_of_user() -> str:
    try:
        name = re.sub(r"[^a-z0-9._-]", "", getpass.getuser().lower())
    except (KeyError, OSError):  # a container without a name for its user
        name = ""
    return name if people.NAME.fullmatch(name) else SOMEBODY


async def _answers(host: str, port: int) -> bool:
    where = f"[{host}]" if ":" in host else host
    try:
        async with httpx2.AsyncClient(timeout=2, trust_env=False) as http:
            return (await http.get(f"http://{where}:{port}/healthz")).status_code == 200
    except httpx2.TransportError:
        return False

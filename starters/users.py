"""People: who may sign in to the reviewers' page, and by what."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import access, denials, migrate, people
from durable_agents.db.engine import Database
from durable_agents.db.passwords import LONGEST
from durable_agents.models.errors import InputError
from durable_agents.models.people import REVIEWER, Person
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from starters.options import AsJson
from starters.terminal import note, out, plain, print_json, run, say

app = typer.Typer(
    help="People: who may sign in to the reviewers' page, and by what.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What they sign in with.")]


@app.command()
def add(
    name: Name,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="A role; may be repeated. `reviewer`.")
    ] = None,
    shown_name: Annotated[str, typer.Option("--shown-name", help="What others see.")] = "",
    email: Annotated[str, typer.Option("--email", help="Their e-mail address.")] = "",
) -> None:
    """Add a person; `users link NAME` then lets them in."""

    async def work(settings: Settings) -> None:
        async with _connection(settings) as connection:
            person = await people.add_user(
                connection, name, display_name=shown_name, email=email, roles=role or [REVIEWER]
            )
        say(f"Added {person.name} with the roles {_listed(person.roles)}.")
        note(f"`durable-agents users link {person.name}` makes the link that lets them in.")

    run(work)


@app.command()
def role(
    name: Name,
    add: Annotated[list[str] | None, typer.Option("--add", help="Give them a role.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Take one away.")] = None,
) -> None:
    """Show a person's roles, or change them; it counts from their next click on."""

    async def work(settings: Settings) -> None:
        async with _connection(settings) as connection:
            person = await people.get_user(connection, name)
            if add or remove:
                roles = {*person.roles, *(add or ())} - {one.lower() for one in remove or ()}
                person = await people.set_roles(connection, name, roles)
        say(f"{person.name} has the roles {_listed(person.roles)}.")

    run(work)


@app.command()
def link(
    name: Name,
    hours: Annotated[float, typer.Option(help="How long it can be used.", min=0.1, max=720)] = 24,
) -> None:
    """Make a link that lets a person in once, where they choose a password."""

    async def work(settings: Settings) -> None:
        async with _connection(settings) as connection:
            person = await people.get_user(connection, name)
            _refuse_disabled(person)
            secret = await access.create_link(
                connection, person.user_id, lasts=timedelta(hours=hours)
            )
        say(link_of(settings, secret))
        note(
            f"Lets in whoever opens it first, as {person.name}, within {hours:g} h: send it safely."
        )

    run(work)


@app.command()
def token(
    name: Name,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    days: Annotated[float | None, typer.Option(help="How long it lasts.", min=0.01)] = None,
    show: Annotated[bool, typer.Option("--list", help="Show those there are.")] = False,
    revoke: Annotated[int | None, typer.Option(metavar="ID", help="End one.")] = None,
) -> None:
    """Make a token by which commands act for a person; or list theirs, or revoke one."""

    async def work(settings: Settings) -> None:
        async with _connection(settings) as connection:
            person = await people.get_user(connection, name)
            if show:
                _show_tokens(await access.list_tokens(connection, person.user_id))
            elif revoke is not None:
                await access.revoke_token(connection, person.user_id, revoke)
                say(f"Token {revoke} of {person.name} is revoked.")
            else:
                _refuse_disabled(person)
                lasts = timedelta(days=days) if days is not None else None
                say(await access.create_token(connection, person.user_id, label=label, lasts=lasts))
                note(
                    f"Acts as {person.name}. It is shown this once; set DURABLE_AGENTS_TOKEN to it."
                )

    run(work)


@app.command()
def password(name: Name) -> None:
    """Set a person's password, typed twice or read from standard input; ends their sessions."""

    async def work(settings: Settings) -> None:
        async with _connection(settings) as connection:
            person = await people.get_user(connection, name)
            await people.set_password(connection, person.name, _read_password())
        say(f"The password of {person.name} is set; sessions begun before have ended.")

    run(work)


@app.command()
def disable(
    name: Name,
    enable: Annotated[bool, typer.Option("--enable", help="Let them in again.")] = False,
) -> None:
    """Keep a person out at once: sessions, tokens, links and password; or let them in again."""

    async def work(settings: Settings) -> None:
        async with _connection(settings) as connection:
            person = await people.set_disabled(connection, name, disabled=not enable)
        say(f"{person.name} {'may sign in again' if enable else 'is kept out from now on'}.")

    run(work)


@app.command("list")
def list_people(as_json: AsJson = False) -> None:
    """Show all people and their roles."""

    async def work(settings: Settings) -> None:
        async with _connection(settings) as connection:
            found = await people.list_users(connection)
        if as_json:
            print_json({"users": [person.model_dump(mode="json") for person in found]})
            return
        table = Table("name", "shown as", "roles", "password", "since", box=None, pad_edge=False)
        for person in found:
            state = "kept out" if person.disabled else "set" if person.has_password else "none"
            roles = ", ".join(person.roles)
            cells = (person.name, person.display_name, roles, state, _day(person.created_at))
            table.add_row(*map(plain, cells))
        out.print(table)
        if not found:
            note("Nobody yet: `durable-agents users add NAME`.")

    run(work, as_json=as_json)


@app.command("denials")
def list_denials(
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 30,
    as_json: AsJson = False,
) -> None:
    """Show the latest things that somebody was refused, and why."""

    async def work(settings: Settings) -> None:
        async with _connection(settings) as connection:
            found = await denials.list_denials(connection, limit=limit)
        if as_json:
            print_json({"denials": [denial.model_dump(mode="json") for denial in found]})
            return
        table = Table("when", "who", "what", "why", "from", box=None, pad_edge=False)
        for one in found:
            cells = (f"{one.at:%Y-%m-%d %H:%M}", one.who or "-", one.what, one.why, one.address)
            table.add_row(*map(plain, cells))
        out.print(table)

    run(work, as_json=as_json)


def link_of(settings: Settings, secret: str) -> str:
    """The address of a one-time link."""
    return f"{settings.inbox_address}/link/{secret}"


@asynccontextmanager
async def _connection(settings: Settings) -> AsyncGenerator[AsyncConnection]:
    database = Database(database_url(settings), pool_size=1)
    try:
        await migrate.check(database)
        async with database.transaction() as connection:
            yield connection
    finally:
        await database.close()


def _read_password() -> str:
    """Read a password: typed twice and not shown, or the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    line = sys.stdin.buffer.readline(4 * LONGEST + 2)
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError("The password is not text in UTF-8.") from error


def _refuse_disabled(person: Person) -> None:
    if person.disabled:
        raise InputError(
            f"{person.name} is kept out; `durable-agents users disable {person.name} --enable` "
            "lets them in again."
        )


def _show_tokens(tokens: list[access.TokenRecord]) -> None:
    table = Table("id", "label", "made", "last used", "ends", box=None, pad_edge=False)
    for one in tokens:
        ends = "revoked" if one.revoked_at else _day(one.expires_at) or "never"
        cells = (str(one.token_id), one.label, _day(one.created_at), _day(one.last_used_at), ends)
        table.add_row(*map(plain, cells))
    out.print(table)


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d}" if at is not None else ""


def _listed(roles: tuple[str, ...]) -> str:
    return ", ".join(roles) or "(none)"

"""`durable-agents users`: what people type, what they are told, and what is kept."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_agents.db import access, denials, people
from durable_agents.db.engine import Database
from durable_agents.db.sign_in import SignInFailure, sign_in
from durable_agents.models.people import Person
from durable_agents.runtime.settings import Settings
from tests.commanding import Commands, folder_for_commands
from tests.workflows.runs import token

PASSWORD = "three quiet otters"


@pytest.fixture
def command(settings: Settings) -> Iterator[Commands]:
    with folder_for_commands() as folder:
        yield Commands(settings, Path(folder))


@pytest.fixture
def name() -> str:
    return f"u-{token().lower()}"


async def test_a_person_is_added_and_let_in_by_a_link(
    command: Commands, database: Database, name: str
) -> None:
    added = await command("users", "add", name, "--role", "reviewer", "--role", "lawyer")
    linked = await command("users", "link", name, INBOX_URL="https://inbox.example/")

    found = re.fullmatch(r"https://inbox\.example/link/([\w-]{43})\n", linked.out)
    assert (added.code, linked.code) == (0, 0)
    assert added.out == f"Added {name} with the roles lawyer, reviewer.\n"
    assert found is not None
    async with database.statement() as connection:
        person = await access.find_link(connection, found[1])
    assert person is not None
    assert person.name == name


async def test_a_name_that_is_taken_or_unknown_is_a_sentence(
    command: Commands, database: Database, name: str
) -> None:
    await _add(database, name)

    taken = await command("users", "add", name)
    unknown = await command("users", "link", "nobody-of-this-name")

    assert (taken.code, unknown.code) == (2, 2)
    assert taken.sentence.startswith(f"There is a user {name} already")
    assert unknown.sentence.startswith("There is no user 'nobody-of-this-name'.")


async def test_a_password_comes_from_standard_input_and_is_never_shown(
    command: Commands, database: Database, name: str
) -> None:
    person = await _add(database, name)

    done = await command("users", "password", name, stdin=f"{PASSWORD}\n".encode())
    short = await command("users", "password", name, stdin=b"short\n")

    assert (done.code, short.code) == (0, 2)
    assert short.sentence.startswith("This password is too short")
    assert PASSWORD not in done.out + done.err
    signed_in = await sign_in(database, name, PASSWORD, "test-users")
    assert not isinstance(signed_in, SignInFailure)
    assert signed_in.user_id == person.user_id


async def test_a_token_is_shown_once_and_can_be_revoked(
    command: Commands, database: Database, name: str
) -> None:
    person = await _add(database, name)

    made = await command("users", "token", name, "--label", "laptop")
    listed = await command("users", "token", name, "--list")

    secret = made.out.strip()
    async with database.statement() as connection:
        assert await access.person_of_token(connection, secret) == person
        (kept,) = await access.list_tokens(connection, person.user_id)
    assert "laptop" in listed.out
    assert secret not in listed.out
    revoked = await command("users", "token", name, "--revoke", str(kept.token_id))
    assert revoked.out == f"Token {kept.token_id} of {name} is revoked.\n"
    async with database.statement() as connection:
        assert await access.person_of_token(connection, secret) is None


async def test_roles_are_given_and_taken_away(
    command: Commands, database: Database, name: str
) -> None:
    await _add(database, name)

    changed = await command("users", "role", name, "--add", "lawyer", "--remove", "reviewer")
    shown = await command("users", "role", name)

    assert changed.out == shown.out == f"{name} has the roles lawyer.\n"


async def test_a_person_is_kept_out_and_let_in_again(
    command: Commands, database: Database, name: str
) -> None:
    await _add(database, name)

    out = await command("users", "disable", name)
    refused = await command("users", "link", name)
    listed = await command("users", "list", "--json")
    again = await command("users", "disable", name, "--enable")

    assert (out.code, refused.code, again.code) == (0, 2, 0)
    assert refused.sentence.startswith(f"{name} is kept out")
    assert {one["name"]: one["disabled"] for one in listed.json["users"]}[name] is True


async def test_denials_are_shown_as_they_are(command: Commands, database: Database) -> None:
    async with database.statement() as connection:
        await denials.record_denial(
            connection, who="[bold]\x1b[2J", what="sign in", why="wrong", address="203.0.113.9"
        )

    shown = await command("users", "denials", "--limit", "1")

    assert "[bold][2J" in shown.out
    assert "\x1b" not in shown.out


async def _add(database: Database, name: str) -> Person:
    async with database.statement() as connection:
        return await people.add_user(connection, name)

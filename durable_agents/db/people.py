"""People: made, changed, listed, and never deleted, because decisions name them."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.passwords import hash_password
from durable_agents.db.people_tables import OneTimeLink, User
from durable_agents.models.errors import InputError, NotFoundError
from durable_agents.models.people import ADMIN, OPERATOR, REVIEWER, Person

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
ROLE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
LONGEST_TEXT = 200  # characters of a shown name or an e-mail address

COLUMNS = (
    User.user_id,
    User.name,
    User.display_name,
    User.email,
    User.roles,
    User.disabled,
    User.session_epoch,
    (User.password_hash != "").label("has_password"),
    User.created_at,
)
"""What a `Person` is made of."""


def person_of(row: RowMapping) -> Person:
    """Make a person of a row of `COLUMNS`; further columns are ignored."""
    return Person.model_validate(dict(row))


async def add_user(
    connection: AsyncConnection,
    name: str,
    *,
    display_name: str = "",
    email: str = "",
    roles: Iterable[str] = (REVIEWER,),
) -> Person:
    """Add a person, who cannot sign in before they have a link or a password.

    Raises:
        InputError: The name or a role does not fit, or is taken.
    """
    chosen, given = name.strip().lower(), _usable_roles(roles)
    if not NAME.fullmatch(chosen):
        raise InputError(
            f"{name!r} is not a usable name: take up to 64 letters a to z, digits and . _ @ + -, "
            "beginning with a letter or a digit."
        )
    await _keep_names_and_roles_apart(connection, name=chosen, roles=given)
    values = {
        "name": chosen,
        "display_name": _short(display_name, "shown name"),
        "email": _short(email, "e-mail address"),
        "roles": given,
    }
    statement = insert(User).values(**values).on_conflict_do_nothing(index_elements=["name"])
    row = (await connection.execute(statement.returning(*COLUMNS))).mappings().one_or_none()
    if row is None:
        raise InputError(f"There is a user {chosen} already; `durable-agents users list` shows it.")
    return person_of(row)


async def get_user(connection: AsyncConnection, name: str) -> Person:
    """Find a person by name.

    Raises:
        NotFoundError: There is none of this name.
    """
    query = select(*COLUMNS).where(User.name == name.strip().lower())
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise _unknown(name)
    return person_of(row)


async def list_users(connection: AsyncConnection) -> list[Person]:
    """All people by name, the disabled ones last."""
    query = select(*COLUMNS).order_by(User.disabled, User.name)
    return [person_of(row) for row in (await connection.execute(query)).mappings()]


async def nobody_can_review(connection: AsyncConnection) -> bool:
    """Whether nobody who may review has a password, or ever used a link."""
    has_come = select(OneTimeLink.digest).where(
        OneTimeLink.user_id == User.user_id, OneTimeLink.used_at.is_not(None)
    )
    query = select(User.user_id).where(
        ~User.disabled,
        User.roles.contains([REVIEWER]),
        (User.password_hash != "") | has_come.exists(),
    )
    return await connection.scalar(query.limit(1)) is None


async def set_password(connection: AsyncConnection, name: str, password: str) -> Person:
    """Give a person a password, and end their sessions.

    Raises:
        InputError: The password is not usable.
        NotFoundError: There is no such person.
    """
    kept = await hash_password(password, name=name.strip())
    return await _change(connection, name, password_hash=kept, session_epoch=User.session_epoch + 1)


async def set_roles(connection: AsyncConnection, name: str, roles: Iterable[str]) -> Person:
    """Give a person exactly these roles.

    Raises:
        InputError: A role does not fit, or is somebody's name.
        NotFoundError: There is no such person.
    """
    given = _usable_roles(roles)
    await _keep_names_and_roles_apart(connection, roles=given)
    return await _change(connection, name, roles=given)


async def set_disabled(connection: AsyncConnection, name: str, *, disabled: bool) -> Person:
    """Keep a person out, or let them in again; their sessions end either way.

    Raises:
        NotFoundError: There is no such person.
    """
    return await _change(connection, name, disabled=disabled, session_epoch=User.session_epoch + 1)


async def _change(
    connection: AsyncConnection, name: str, **values: ColumnElement[Any] | str | bool | list[str]
) -> Person:
    statement = (
        update(User).where(User.name == name.strip().lower()).values(**values).returning(*COLUMNS)
    )
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        raise _unknown(name)
    return person_of(row)


async def _keep_names_and_roles_apart(
    connection: AsyncConnection, *, name: str = "", roles: Sequence[str] = ()
) -> None:
    """Refuse a name that is a role, or the reverse: a request names either as its reviewer."""
    held = select(User.name).where(User.roles.contains([name])).limit(1)
    is_role = name in {REVIEWER, ADMIN, OPERATOR, *roles} or (
        bool(name) and await connection.scalar(held) is not None
    )
    if is_role:
        raise InputError(f"{name} is the name of a role; choose another name for the user.")
    taken = await connection.scalar(select(User.name).where(User.name.in_(roles)).limit(1))
    if taken is not None:
        raise InputError(f"{taken} is the name of a user; choose another name for the role.")


def _usable_roles(roles: Iterable[str]) -> list[str]:
    given = sorted({role.strip().lower() for role in roles})
    for role in given:
        if not ROLE.fullmatch(role):
            raise InputError(
                f"{role!r} is not a usable role: take up to 32 letters a to z, digits, _ and -, "
                "beginning with a letter or a digit."
            )
    return given


def _short(text: str, what: str) -> str:
    cleaned = " ".join(text.split())
    if len(cleaned) > LONGEST_TEXT:
        raise InputError(f"The {what} is too long: take at most {LONGEST_TEXT} characters.")
    return cleaned


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(
        f"There is no user {name.strip()[:64]!r}. `durable-agents users list` shows who there is."
    )

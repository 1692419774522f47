"""Passwords: argon2id, with the parameters that RFC 9106 (section 4) recommends.

A hash takes 64 MiB and some 50 ms of several cores, so that only a few are made at a time; they
are made in threads, and the event loop goes on.
"""

import asyncio
import functools
import secrets
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from durable_agents.models.errors import InputError

SHORTEST = 12  # characters; NIST SP 800-63B asks for at least 8
LONGEST = 200
AT_ONCE = 2  # hashes; each takes 64 MiB

Result = TypeVar("Result")

_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def hash_password(password: str, *, name: str = "") -> str:
    """Hash a password, in the standard form that names its parameters.

    Args:
        password: What the person chose.
        name: Whose it is.

    Raises:
        InputError: It is too short, too long, or as easy as the name.
    """
    if len(password) < SHORTEST:
        raise InputError(f"This password is too short: take at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise InputError(f"This password is too long: take at most {LONGEST} characters.")
    if len(set(password.casefold().replace(name.casefold() or "\x00", ""))) < 4:
        raise InputError("This password is too easy to guess: take several words.")
    return await _in_turn(_HASHER.hash, _bytes_of(password))


async def verify_password(kept: str, password: str) -> bool:
    """Whether a password is the one of a hash.

    It takes as long where `kept` is empty (nobody of the name, or no password): then a hash that
    nothing fits is verified.
    """
    tried = _bytes_of(password[: LONGEST + 1])
    fits = await _in_turn(_fits, kept or await _in_turn(_nobodys), tried)
    return fits and bool(kept) and len(password) <= LONGEST


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than new ones."""
    return _HASHER.check_needs_rehash(kept)


def _fits(kept: str, tried: bytes) -> bool:
    try:
        return _HASHER.verify(kept, tried)
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def _nobodys() -> str:
    return _HASHER.hash(secrets.token_bytes(32))


def _bytes_of(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


async def _in_turn(work: Callable[..., Result], *args: object) -> Result:
    loop = asyncio.get_running_loop()
    turn = _turns.setdefault(loop, asyncio.Semaphore(AT_ONCE))
    async with turn:
        return await asyncio.to_thread(work, *args)

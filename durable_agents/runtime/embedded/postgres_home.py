"""Where the embedded PostgreSQL keeps its data and its socket, and whom it runs as.

As an ordinary user: below the state folder, as that user. PostgreSQL refuses to run as root, so
there it runs as an unprivileged account that exists already, in `/var/lib/durable-agents/DIGEST`
(of the state folder's path), because that account must be able to enter every parent folder;
where that cannot be, in a fresh folder of the system's temporary one. No permission of a folder
that is not ours is ever changed.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.child import Account

ROOT_BASE = Path("/var/lib/durable-agents")
_ACCOUNTS = ("postgres", "_postgres", "nobody")
_SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_PATH_LIMIT = 100  # bytes; sun_path holds 104 on macOS, 108 on Linux


@dataclass(frozen=True)
class PostgresHome:
    """The folders of one embedded PostgreSQL.

    Args:
        folder: What holds everything of it. It is ours, so that the server's account cannot put
            links there for us to follow.
        socket: The folder of its socket; 0700 and owned by the server's account.
        copies: A folder of ours for a copy of its programs, which the account can enter.
        account: Whom it runs as, where that is not us.
        socket_is_litter: Whether the socket's folder is to be removed when the server ends.
    """

    folder: Path
    socket: Path
    copies: Path
    account: Account | None
    socket_is_litter: bool

    @property
    def data(self) -> Path:
        """The data folder; 0700 and owned by the server's account."""
        return self.folder / "data"


def prepare_home(state_dir: Path, *, root_base: Path = ROOT_BASE) -> PostgresHome:
    """Make the folders, or find them again.

    Args:
        state_dir: The state folder; absolute.
        root_base: What holds the data when we are root.
    """
    if os.geteuid() == 0:
        account: Account | None = _unprivileged_account()
        folder = _root_folder(state_dir, root_base, account)
        account = _owner_of(folder / "data") or account
    else:
        account = None
        folder = state_dir / "postgres"
        folder.mkdir(mode=0o700, exist_ok=True)
    socket = folder / "socket"
    litter = len(os.fsencode(socket / _SOCKET_NAME)) > _SOCKET_PATH_LIMIT
    if litter:
        socket = _fresh_folder(account)
    else:
        # We hold the lock and no server runs: what is in it is left over from a crash.
        shutil.rmtree(socket, ignore_errors=True)
        make_private(socket, account)
    copies = root_base if folder.parent == root_base else folder
    return PostgresHome(folder, socket, copies, account, litter)


def make_private(folder: Path, account: Account | None) -> None:
    """Make a folder that only the server's account (and root) can enter."""
    folder.mkdir(mode=0o700)
    _give(folder, account)


def remove_home(state_dir: Path) -> None:
    """Delete the data that belongs to a state folder, also where it lies outside of it."""
    marker = _marker(state_dir)
    with suppress(OSError):
        shutil.rmtree(marker.read_text(encoding="utf-8"), ignore_errors=True)
        marker.unlink()
    shutil.rmtree(state_dir / "postgres", ignore_errors=True)


def _root_folder(state_dir: Path, base: Path, account: Account) -> Path:
    marker = _marker(state_dir)
    with suppress(OSError):
        recorded = Path(marker.read_text(encoding="utf-8"))
        if recorded.is_dir():
            return recorded
    folder = base / hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:16]
    try:
        _make_passable(base)
        _set_aside(folder)
        _make_passable(folder)
        usable = _can_enter(account, folder)
    except OSError:
        usable = False
    if not usable:
        folder = _fresh_folder(None)
        _make_passable(folder)
    (folder / "belongs-to").write_text(f"{state_dir}\n", encoding="utf-8")  # for people
    marker.write_text(str(folder), encoding="utf-8")
    return folder


def _make_passable(folder: Path) -> None:
    """Make a folder of ours that every account can pass through and none can list."""
    folder.mkdir(exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    folder.chmod(0o711)


def _owner_of(folder: Path) -> Account | None:
    try:
        owner = folder.stat()
    except OSError:
        return None
    return Account(owner.st_uid, owner.st_gid)


def _set_aside(folder: Path) -> None:
    """Keep the data of a state folder that was deleted for one more time.

    The state folder has no marker, so somebody deleted it to begin anew; Temporal's history is
    gone with it, and old rows would not fit the new one.
    """
    if folder.exists():
        aside = folder.with_suffix(".before")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)


def _unprivileged_account() -> Account:
    for name in _ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        "PostgreSQL does not run as root, and this system has neither an account `postgres` nor "
        "`nobody`: set DATABASE_URL, or start as another user."
    )


def _can_enter(account: Account, folder: Path) -> bool:
    try:
        done = subprocess.run(
            ["sh", "-c", 'cd "$1"', "sh", folder],
            user=account.uid,
            group=account.gid,
            extra_groups=(),
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def _fresh_folder(account: Account | None) -> Path:
    """Make a private folder with a short path."""
    place = "/tmp" if os.access("/tmp", os.W_OK) else None  # noqa: S108  # mkdtemp makes it 0700
    folder = Path(tempfile.mkdtemp(prefix="durable-agents-", dir=place))
    _give(folder, account)
    return folder


def _give(folder: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(folder, account.uid, account.gid)


def _marker(state_dir: Path) -> Path:
    return state_dir / "postgres.home"

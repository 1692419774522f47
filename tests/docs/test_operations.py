"""What docs/operations.md says of backups is done as it stands; its settings reach workers."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql
from sqlalchemy.engine import make_url

from durable_agents.db import migrate
from durable_agents.db.engine import Database
from durable_agents.db.seed import seed
from durable_agents.runtime.embedded.postgres_install import find_install
from durable_agents.runtime.settings import Settings
from tests.conftest import EXAMPLES
from tests.db.databases import created_database, execute

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def command(program: str) -> str:
    """The one command of a block that begins with a program of PostgreSQL."""
    (found,) = re.findall(rf"^```\n({program} .+)\n```$", TEXT, re.M)
    return found


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


class Shell:
    """Runs commands of the page, in a folder, with PostgreSQL's programs at hand."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._path = f"{programs}:{os.environ['PATH']}"

    def __call__(self, line: str, url: str, **env: str) -> subprocess.CompletedProcess[str]:
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self._folder,
            env={"PATH": self._path, "DATABASE_URL": plain, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(scope="module")
def shell(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("backup"), find_install(settings.state_dir) / "bin")


@pytest.fixture(scope="module")
async def backed_up(shell: Shell, database_url: str) -> dict[str, int]:
    """What was in a database that has been backed up."""
    with created_database(database_url) as url:
        await migrate.upgrade(url)
        database = Database(url)
        await seed(database, EXAMPLES)
        await database.close()
        ended = shell(command("pg_dump"), url)
        assert (ended.returncode, ended.stderr) == (0, "")
        return rows_of(url)


@pytest.fixture
def owner(database_url: str) -> Iterator[str]:
    """A role that owns its database and may do no more."""
    name = "plain_owner"
    execute(database_url, sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
    yield name
    execute(database_url, sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def rows_of(url: str) -> dict[str, int]:
    """How many rows each table has."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    with psycopg.connect(plain) as connection:
        found: dict[str, int] = {}
        for (name,) in connection.execute(tables).fetchall():
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
            found[name] = int((connection.execute(query).fetchone() or (0,))[0])
        return found


def test_a_backup_is_put_back_by_a_role_with_no_rights_but_those_of_an_owner(
    shell: Shell, database_url: str, backed_up: dict[str, int], owner: str
) -> None:
    with created_database(database_url) as url:
        execute(url, sql.SQL("CREATE EXTENSION vector"))
        execute(url, sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(owner)))
        ended = shell(command("pg_restore"), url, PGOPTIONS=f"-c role={owner}")
        found = rows_of(url)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert found == backed_up
    assert found["chunks"] >= 0
    assert found["documents"] > 0


@pytest.mark.parametrize("there", ["", "CREATE TABLE jobs (job_id int)"])
def test_what_cannot_be_put_back_as_a_whole_changes_nothing(
    shell: Shell, database_url: str, backed_up: dict[str, int], owner: str, there: str
) -> None:
    with created_database(database_url) as url:
        execute(url, sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(sql.Identifier(owner)))
        if there:
            execute(url, sql.SQL("CREATE EXTENSION vector"))
            execute(url, sql.SQL("CREATE TABLE jobs (job_id int)"))
        before = rows_of(url)
        ended = shell(command("pg_restore"), url, PGOPTIONS=f"-c role={owner}")
        after = rows_of(url)

    assert backed_up
    assert ended.returncode != 0
    assert ("vector" in ended.stderr) or ("jobs" in ended.stderr)
    assert after == before


def test_temporal_is_backed_up_before_ours_also_where_one_server_holds_both() -> None:
    (order,) = re.findall(r"^for name in ([\w ]+); do .*pg_dump ", TEXT, re.M)

    assert order.split() == ["temporal", "temporal_visibility", "durable_agents"]
    assert not re.search(r"`[^`]*pg_dumpall --", TEXT), "it takes databases by their names"


def test_what_the_page_says_of_capacity_can_be_set_in_containers_and_has_these_defaults() -> None:
    capacity = section("Capacity")
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", capacity))
    defaults = dict(re.findall(r"^\| `([A-Z_]+)` \| `?([\w.]+)`? \|", capacity, re.M))

    settable = named & {name.upper() for name in Settings.model_fields}
    environment = yaml.safe_load(COMPOSE)["services"]["worker"]["environment"]
    shares = {name: value for name, value in defaults.items() if name.startswith("WORKER_TARGET_")}

    assert len(settable) > 6
    assert settable <= environment.keys()
    shown = {name: value for name, value in defaults.items() if name not in shares}
    assert Settings.load(shown, dotenv=None, use_run_file=False) == Settings()

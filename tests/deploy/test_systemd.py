"""The unit files fit systemd and the rest of the project; systemd itself is not needed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from durable_agents.runtime.settings import Settings
from durable_agents.runtime.startup import EXIT_TRY_LATER
from inbox.serving import GRACE_S
from starters.main import COMMANDS
from tests.deploy.units import FOLDER, INSTALLED, ROOT, read, read_environment
from workers.announcing import END_MARGIN_S
from workers.roles import EXIT_CONFIGURATION, ROLES
from workers.supervisor import DRAIN_MARGIN_S

UNITS = {
    path.name: read(path) for path in sorted(FOLDER.glob("*.[st]*e*")) if path.suffix != ".env"
}
SERVICES = [name for name in UNITS if name.endswith(".service")]
NOTIFYING = [name for name in SERVICES if "migrate" not in name]
WORKER = UNITS["durable-agents-worker@.service"]
OPERATIONS = ROOT / "docs" / "operations.md"
EXAMPLE = FOLDER / "durable-agents.env.example"
COMMENTED = re.compile(r"^# ([A-Z][A-Z_]*)=(.*)$", re.MULTILINE)

# systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5) and
# systemd.resource-control(5) of systemd 247, the oldest that is supported somewhere.
KNOWN: dict[str, set[str]] = {
    "Unit": {"Description", "Wants", "After", "PartOf", "StartLimitIntervalSec", "StartLimitBurst"},
    "Install": {"WantedBy"},
    "Service": {
        *("Type", "NotifyAccess", "WorkingDirectory", "Environment", "EnvironmentFile"),
        *("ExecStart", "RemainAfterExit", "TimeoutStartSec", "TimeoutStopSec", "WatchdogSec"),
        *("KillMode", "KillSignal", "Restart", "RestartSec", "RestartPreventExitStatus"),
        *("OOMPolicy", "User", "Group", "UMask", "NoNewPrivileges", "CapabilityBoundingSet"),
        *("AmbientCapabilities", "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices"),
        *("ProtectClock", "ProtectHostname", "ProtectKernelTunables", "ProtectKernelModules"),
        *("ProtectKernelLogs", "ProtectControlGroups", "ProtectProc", "RestrictAddressFamilies"),
        *("RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "RemoveIPC"),
        *("LockPersonality", "SystemCallArchitectures", "SystemCallFilter"),
        *("SystemCallErrorNumber", "LimitNOFILE"),
    },
}


@pytest.mark.parametrize("name", UNITS)
def test_every_option_is_one_that_systemd_knows(name: str) -> None:
    for section, options in UNITS[name].sections.items():
        assert options.keys() <= KNOWN[section], section


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_units_where_it_is_there_to_ask(name: str, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    here = str(Path(sys.executable).parent.parent)
    for unit in UNITS:
        text = (FOLDER / unit).read_text(encoding="utf-8")
        text = text.replace(f"{INSTALLED}/.venv", here).replace(INSTALLED, str(ROOT))
        (tmp_path / unit).write_text(text, encoding="utf-8")
    asked = tmp_path / name.replace("@.", "@llm.")

    said = ""
    if program:
        shutil.copy(tmp_path / name, tmp_path / "copy")
        shutil.copy(tmp_path / "copy", asked)
        argv = [program, "verify", "--man=no", "--recursive-errors=no", str(asked)]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
        said = "\n".join(line for line in ended.stderr.splitlines() if str(tmp_path) in line)

    assert said == ""


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_starts_is_there(name: str) -> None:
    environ = {**UNITS[name].environment, "PROCESSES": "2"}

    program, *arguments = UNITS[name].command(environ, "llm")

    installed = Path(program).relative_to(f"{INSTALLED}/.venv")
    assert (Path(sys.executable).parent / installed.name).exists()
    if installed.name == "python":
        assert arguments == ["-m", "workers", "--role", "llm", "--processes", "2"]
    else:
        assert arguments[0] in COMMANDS
    assert UNITS[name].one("WorkingDirectory") == INSTALLED


def test_the_target_wants_every_role_once_and_every_service() -> None:
    wanted = UNITS["durable-agents.target"].values("Unit", "Wants")

    of_roles = [WORKER.name.replace("@.", f"@{role}.") for role in ROLES]
    assert sorted(wanted) == sorted([*of_roles, *(s for s in SERVICES if s != WORKER.name)])


@pytest.mark.parametrize("name", SERVICES)
def test_services_wait_for_the_tables_and_stop_with_the_target(name: str) -> None:
    unit = UNITS[name]

    assert unit.values("Unit", "PartOf") == ["durable-agents.target"]
    assert unit.values("Install", "WantedBy") == ["durable-agents.target"]
    assert ("migrate" in name) != ("durable-agents-migrate.service" in unit.values("Unit", "After"))


@pytest.mark.parametrize("name", NOTIFYING)
def test_a_service_says_when_it_is_ready_and_is_not_restarted_in_vain(name: str) -> None:
    unit = UNITS[name]

    assert (unit.one("Type"), unit.one("NotifyAccess")) == ("notify", "main")
    assert (unit.one("Restart"), unit.one("KillSignal")) == ("always", "SIGTERM")
    assert unit.one("RestartPreventExitStatus") == str(EXIT_CONFIGURATION)


@pytest.mark.parametrize("name", SERVICES)
def test_services_wait_after_a_reboot_and_are_started_again_when_they_waited_in_vain(
    name: str,
) -> None:
    unit = UNITS[name]

    waits = Settings.load(unit.environment, dotenv=None, use_run_file=False).startup_wait_s
    assert waits >= 60
    assert unit.one("Restart") in {"always", "on-failure"}
    assert str(EXIT_TRY_LATER) not in unit.values("Service", "RestartPreventExitStatus")


def test_services_have_time_to_drain() -> None:
    drain = Settings().worker_shutdown_grace_s + DRAIN_MARGIN_S + END_MARGIN_S

    assert WORKER.seconds("TimeoutStopSec") > drain
    assert WORKER.one("KillMode") == "mixed"
    assert UNITS["durable-agents-inbox.service"].seconds("TimeoutStopSec") > GRACE_S


def test_a_process_that_the_kernel_ends_for_its_memory_takes_no_other_one_along() -> None:
    assert WORKER.one("OOMPolicy") == "continue"


@pytest.mark.parametrize("name", SERVICES)
def test_services_have_no_rights_to_lose(name: str) -> None:
    unit = UNITS[name]

    assert unit.one("User") == unit.one("Group") == "durable-agents"
    assert unit.one("CapabilityBoundingSet") == unit.one("AmbientCapabilities") == ""
    assert (unit.one("NoNewPrivileges"), unit.one("ProtectSystem")) == ("yes", "strict")
    assert "@resources" not in str(unit.sections["Service"]["SystemCallFilter"])


def test_the_account_may_read_what_lies_in_the_folder_of_settings() -> None:
    folder = "/etc/durable-agents"
    made = re.findall(rf"install -d (.+) {folder}\n", OPERATIONS.read_text(encoding="utf-8"))
    read_by_services = re.findall(rf"_PATH=({folder}/\S+)", EXAMPLE.read_text(encoding="utf-8"))

    assert len(read_by_services) == 3  # certificates and a key; the settings systemd reads, as root
    assert made == [f"-m 0750 -g {WORKER.one('Group')}"]


def test_every_variable_of_the_environment_files_means_something() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    shown = {**read_environment(EXAMPLE), **dict(COMMENTED.findall(text))}

    known = {name.upper() for name in Settings.model_fields}
    others = ("TEMPORAL_", "AWS_")
    foreign = {name for name in shown.keys() - known if not name.startswith(others)}
    assert foreign == set()
    Settings.load(read_environment(EXAMPLE), dotenv=None, use_run_file=False)


def test_roles_on_one_machine_have_ports_of_their_own() -> None:
    of_roles = [read_environment(FOLDER / f"worker-{role}.env") for role in ROLES]

    ports = {one["HEALTH_PORT"] for one in of_roles}
    assert len(ports) == len(ROLES)
    assert all(one["PROCESSES"] == "1" for one in of_roles)
    taken = Settings()
    assert not ports & {str(taken.inbox_port), str(taken.temporal_port), str(taken.health_port)}

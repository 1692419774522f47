"""Reads the unit files of `deploy/systemd` as systemd does, as far as they go."""

import shlex
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy" / "systemd"
INSTALLED = "/opt/durable-agents"


@dataclass(frozen=True)
class Unit:
    """A unit file: its options by section, each with its values in order."""

    name: str
    sections: dict[str, dict[str, list[str]]]

    def values(self, section: str, option: str) -> list[str]:
        """Every value of an option, split at spaces."""
        return [part for value in self.sections[section][option] for part in shlex.split(value)]

    def one(self, option: str) -> str:
        """The only value of an option of the service."""
        (value,) = self.sections["Service"][option]
        return value

    def seconds(self, option: str) -> int:
        """A duration of the service."""
        return int(self.one(option))

    @property
    def environment(self) -> dict[str, str]:
        """What `Environment=` sets."""
        pairs = (pair.partition("=") for pair in self.values("Service", "Environment"))
        return {name: value for name, _, value in pairs}

    def command(self, environ: dict[str, str], instance: str = "") -> list[str]:
        """The words of `ExecStart=`, for an instance of a template."""
        line = self.one("ExecStart").replace("%i", instance)
        for name, value in environ.items():
            line = line.replace(f"${{{name}}}", value)
        return shlex.split(line)


def read(path: Path) -> Unit:
    """Read a unit file."""
    sections: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] not in "#;":
            option, separator, value = line.partition("=")
            assert section, line
            assert separator, line
            sections[section][option].append(value)
    return Unit(path.name, {name: dict(options) for name, options in sections.items()})


def read_environment(path: Path) -> dict[str, str]:
    """The variables that a file for `EnvironmentFile=` sets."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and line[0] not in "#;")
    return {name: value for name, _, value in pairs}

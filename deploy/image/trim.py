"""Takes out of an image's packages what nothing reads at run time; the Dockerfile runs it.

`python trim.py VENV` needs nothing but the standard library, and `strip` of binutils.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

AWS_SERVICES = frozenset({"s3", "sts", "sso", "sso-oidc", "signin"})
"""Of Amazon's services: the payload store, and what its credentials may come from."""

SOURCES = frozenset({".c", ".cpp", ".h", ".hpp", ".pxd", ".pxi", ".pyi", ".pyx", ".rs"})
"""What compilers and type checkers read. A `py.typed` stays."""

SDK_SOURCES = ("sdk-core", "src", "Cargo.toml", "Cargo.lock")
"""The Rust of Temporal's SDK, beside what was compiled of it."""

DEBUG_SECTION = b".debug_info\0"  # as the table of a library's section names has it


def trim(site: Path) -> None:
    """Trim a folder of installed packages.

    Args:
        site: Its `site-packages`.
    """
    for unneeded in (*other_aws_services(site), *own_tests(site), *sdk_sources(site)):
        _delete(unneeded)
    for path in [path for path in site.rglob("*") if path.suffix in SOURCES and path.is_file()]:
        path.unlink()
    for library in with_debug_sections(site):
        subprocess.run(["strip", "--strip-debug", str(library)], check=True)


def other_aws_services(site: Path) -> Iterator[Path]:
    """What describes services that are never called."""
    for folder in (site / "botocore" / "data", site / "boto3" / "data"):
        yield from (one for one in folder.glob("*/") if one.name not in AWS_SERVICES)


def own_tests(site: Path) -> Iterator[Path]:
    """The tests of packages, which some install along with themselves."""
    yield from site.glob("*/tests/")


def sdk_sources(site: Path) -> Iterator[Path]:
    """What the library of Temporal's SDK was compiled from."""
    there = (site / "temporalio" / "bridge" / name for name in SDK_SOURCES)
    yield from (path for path in there if path.exists())


def with_debug_sections(site: Path) -> Iterator[Path]:
    """Libraries that carry what only a debugger reads.

    Not those of packages that bring others' libraries along: these were patched, and a library
    that was patched may not be stripped any more.
    """
    patched = {folder.name.removesuffix(".libs") for folder in site.glob("*.libs/")}
    for path in site.rglob("*.so"):
        if path.relative_to(site).parts[0] not in patched and DEBUG_SECTION in path.read_bytes():
            yield path


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def main() -> None:
    """Trim the packages of the virtual environment that is named."""
    (site,) = Path(sys.argv[1]).glob("lib/python*/site-packages")
    trim(site)


if __name__ == "__main__":
    main()

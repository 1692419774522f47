"""`make test-containers`: builds the images, brings them up, kills, restarts, takes down."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
CHECKS = [str(FOLDER / f"checks_{of}.py") for of in ("image", "survival", "bad_input", "secrets")]
NEEDED = (
    ("docker", "version", "--format", "{{.Server.Version}}"),
    ("docker", "compose", "version", "--short"),
)


def why_not() -> str:
    """Why containers cannot be tried on this machine; empty when they can."""
    if not shutil.which("docker"):
        return "there is no program `docker`"
    for command in NEEDED:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            said = (ended.stderr or ended.stdout).strip() or "without a word"
            return f"`{' '.join(command[:3])}` fails: {' '.join(said.split())}"
    return ""


def main() -> None:
    """Run the checks with the arguments of pytest that are given."""
    reason = why_not()
    if reason:
        sys.exit(f"The containers cannot be tested here: {reason}. Start Docker, then try again.")
    sys.exit(pytest.main([*CHECKS, "-s", *sys.argv[1:]]))


if __name__ == "__main__":
    main()

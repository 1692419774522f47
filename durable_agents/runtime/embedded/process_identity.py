"""Who a process id belongs to, so that a number used a second time is never mistaken.

Standard library only: the watcher imports it.
"""

import os
import subprocess
from pathlib import Path

_PROC = Path("/proc")
_PS_TIMEOUT_S = 5.0


def process_identity(pid: int) -> str:
    """Name the process that has this id now; empty when none has.

    Two processes that have the same id one after the other differ in their start time, and
    so in this name. A process that has ended and waits to be reaped counts as gone.
    """
    if (_PROC / "self" / "stat").exists():
        return _identity_from_proc(pid)
    return _identity_from_ps(pid)


def is_alive(pid: int, identity: str) -> bool:
    """Whether the process that had this id and identity is still there."""
    return bool(identity) and process_identity(pid) == identity


def working_directory(pid: int) -> Path | None:
    """Where a process stands; None when it is gone or may not be looked at."""
    if _PROC.joinpath("self", "cwd").exists():
        try:
            return (_PROC / str(pid) / "cwd").readlink()
        except OSError:
            return None
    lines = _output_of("lsof", "-a", "-d", "cwd", "-p", str(pid), "-Fn").splitlines()
    names = [line[1:] for line in lines if line.startswith("n")]
    return Path(names[0]) if names else None


def _identity_from_proc(pid: int) -> str:
    """Read state and start time, fields 3 and 22 of proc_pid_stat(5), and the boot's id."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    if not fields or fields[0] in {"Z", "X"}:
        return ""
    return f"{_boot_id()}:{fields[19]}"


def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _identity_from_ps(pid: int) -> str:
    state, _, started = _output_of("ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)).partition(
        " "
    )
    return "" if state.startswith("Z") else " ".join(started.split())


def _output_of(*argv: str) -> str:
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PS_TIMEOUT_S,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()

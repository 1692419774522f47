"""A small process that outlives its parent by a few seconds, to end what the parent started.

It reads a pipe whose only writer is the parent. However the parent ends, also by SIGKILL, the
pipe reaches its end; then everything still registered is ended in order, and the run file and
other litter are removed. It leads the process group that all children belong to and kills what
is left of that group as its last act, so that a child that was started but not yet registered
goes as well; the number of a group cannot be used again while its leader lives. It holds the
parent's lock through an inherited descriptor, so that the next `up` waits until all is gone.

Lines on the pipe are JSON: {"add": part}, {"forget": pid}, {"litter": path}.
Standard library only, to start fast; run as `python -m durable_agents.runtime.embedded.watcher`.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from durable_agents.runtime.embedded.parts import Part, end_parts


def read_until_end(lines: Iterable[bytes]) -> tuple[dict[int, Part], list[Path]]:
    """Follow the parent's messages to the end of the pipe.

    Returns:
        The parts that are registered then, by process id, and the paths to remove.
    """
    parts: dict[int, Part] = {}
    litter: list[Path] = []
    for line in lines:
        # A parent that is killed while it writes leaves half a line.
        with suppress(ValueError, KeyError, TypeError):
            message: dict[str, Any] = json.loads(line)
            if "add" in message:
                part = Part.from_json(message["add"])
                parts[part.pid] = part
            if "forget" in message:
                parts.pop(int(message["forget"]), None)
            if "litter" in message:
                litter.append(Path(message["litter"]))
    return parts, litter


def main() -> None:
    """Wait for the end of standard input, then end everything."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")  # so that no folder is kept busy
    parts, litter = read_until_end(sys.stdin.buffer)
    if any(part.alive for part in parts.values()):
        _say("the parent is gone, its parts are ended")
        end_parts(parts.values(), _say)
    for path in litter:
        _remove(path)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _say(line: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    with suppress(OSError):
        sys.stderr.write(f"{stamp} {line}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    main()

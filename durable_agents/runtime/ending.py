"""Ends a process that has spoken to Temporal.

While the interpreter is torn down, threads of the SDK's core may still want to enter it, and
then abort the process (sdk-python issue 300): now and then a command that did its work would end
with a core dump. So there is no tearing down: what was written is flushed, and the process ends.
"""

import contextlib
import logging
import os
import sys
from typing import NoReturn


def end_process(code: int) -> NoReturn:
    """Flush what was written and end at once."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code)


def code_of(ended: SystemExit) -> int:
    """The exit code that `sys.exit` was given; says its text where it was given one."""
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    sys.stderr.write(f"{ended.code}\n")
    return 1

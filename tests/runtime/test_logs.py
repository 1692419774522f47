"""Log lines for people and machines."""

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping

import pytest
from opentelemetry.sdk.trace import TracerProvider
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from durable_agents.models.errors import NotFoundError
from durable_agents.runtime import logs
from durable_agents.telemetry.spans import SPANS

Place = Mapping[str, Mapping[str, object]]
STEP: Place = {
    "temporal_activity": {
        "activity_id": "think-2",
        "workflow_id": "order-7",
        "workflow_run_id": "r1",
        "attempt": 3,
        "task_queue": "left out",
    }
}
WORKFLOW: Place = {"temporal_workflow": {"workflow_id": "order-7", "run_id": "r1", "attempt": 1}}


UNCAUGHT = """
import threading, warnings
from durable_agents.runtime import logs

def fail():
    raise ValueError("two\\nlines")

logs.configure(level="WARNING", form="json")
warnings.warn("soon gone")
failing = threading.Thread(target=fail)
failing.start()
failing.join()
fail()
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - autouse
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(form: str, error: BaseException | None = None, *, extra: Place | None = None) -> str:
    stream = io.StringIO()
    logs.configure(level="INFO", form=form, stream=stream)
    if error is None:
        logging.getLogger("test").info("Said %s", "this", extra=extra)
    else:
        try:
            raise error
        except BaseException:
            logging.getLogger("test").warning("Failed", exc_info=sys.exc_info(), extra=extra)
    return stream.getvalue()


def test_a_line_for_people_says_when_what_and_where() -> None:
    line = logged("text", extra=STEP)

    assert line[2] == line[5] == ":"
    assert line[8:] == " INFO    Said this [workflow=order-7 run=r1 step=think-2 attempt=3]\n"


def test_a_line_of_a_workflow_says_its_run() -> None:
    assert "[workflow=order-7 run=r1 attempt=1]" in logged("text", extra=WORKFLOW)


def test_a_line_for_machines_is_one_json_object() -> None:
    line = json.loads(logged("json", extra=STEP))

    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "test",
        "message": "Said this",
        "workflow": "order-7",
        "run": "r1",
        "step": "think-2",
        "attempt": "3",
    }


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotFoundError("There is no task 7."), "NotFoundError: There is no task 7."),
        (ApplicationError("Not\nso.", type="Refused"), "Refused: Not so."),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_a_failure_with_a_name_is_one_line(error: BaseException, said: str) -> None:
    text, line = logged("text", error, extra=STEP), json.loads(logged("json", error))

    assert f"WARNING Failed: {said} [workflow=order-7" in text
    assert len(text.splitlines()) == 1
    assert line["error"] == said


def test_an_unexpected_failure_comes_with_its_traceback() -> None:
    text, line = logged("text", KeyError("x")), json.loads(logged("json", KeyError("x")))

    assert "Traceback" in text
    assert "KeyError" in line["exception"]


def test_text_from_outside_makes_no_line_of_its_own_and_steers_no_terminal() -> None:
    stream = io.StringIO()
    logs.configure(level="INFO", form="text", stream=stream)
    forged = "refused\n12:00:00 ERROR   All is lost\r\x1b[2J"

    logging.getLogger("test").info("The server said %s", forged)

    first, second = stream.getvalue().splitlines()
    assert first.endswith("INFO    The server said refused")
    assert second == "    12:00:00 ERROR   All is lost[2J"


def test_what_nobody_caught_and_warnings_are_json_as_well() -> None:
    ended = subprocess.run([sys.executable, "-c", UNCAUGHT], capture_output=True, check=False)

    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert [line["level"] for line in lines] == ["WARNING", "CRITICAL", "CRITICAL"]
    assert "soon gone" in lines[0]["message"]
    assert all("two\nlines" in line["exception"] for line in lines[1:])


def test_what_is_below_the_level_is_left_out() -> None:
    stream = io.StringIO()
    logs.configure(level="ERROR", form="text", stream=stream)

    logging.getLogger("test").warning("not shown")

    assert stream.getvalue() == ""


def test_a_line_of_a_library_inside_an_activity_says_where_and_in_which_trace() -> None:
    stream = io.StringIO()
    logs.configure(level="INFO", form="json", stream=stream)

    async def work() -> None:
        logging.getLogger("a.library").warning("Hm")

    environment = ActivityEnvironment()
    SPANS.begin(TracerProvider().get_tracer("test"))
    try:
        with SPANS.span("outer"):
            ids = SPANS.ids()
            asyncio.run(environment.run(work))
    finally:
        SPANS.end()

    line = json.loads(stream.getvalue())
    assert (line["workflow"], line["step"]) == ("test", "test")
    assert line["run"]
    assert line["trace_id"] == ids["trace_id"]
    assert len(line["span_id"]) == 16


def test_people_are_told_in_the_form_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="ERROR", form="text", stream=io.StringIO())
    logs.tell("It is ready.", name="workers")
    logs.configure(level="ERROR", form="json", stream=io.StringIO())
    logs.tell("It is ready.", name="workers")

    text, line = capsys.readouterr().err.splitlines()
    assert text == "It is ready."
    assert json.loads(line)["message"] == "It is ready."
    assert json.loads(line)["logger"] == "workers"

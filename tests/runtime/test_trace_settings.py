"""Traces as they are set up: settings that do not fit, samplers, a collector away, what is kept."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.exceptions import ApplicationError, CancelledError

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.tracing import PatientExporter, about, begin_tracing
from durable_agents.telemetry.redaction import SECRETS
from durable_agents.telemetry.spans import SPANS, error_type_of
from tests.runtime.collector import Collector, collecting, traced


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as listening:
        yield listening


def test_a_collector_that_is_away_is_told_of_once_and_costs_no_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    lost: list[int] = []

    began = time.process_time()
    with traced("http://127.0.0.1:1", timeout_s=0.2) as tracing:
        tracing.exporter.lost = lost.append
        for _ in range(300):
            with SPANS.span("work"):
                pass
        took = time.process_time() - began
    ours = [one for one in caplog.records if one.name.startswith(("durable", "opentelemetry"))]

    assert took < 5
    assert sum(lost) == pytest.approx(300, abs=10)  # a span may find room at the last moment
    assert [one.name for one in ours] == ["durable_agents.runtime.tracing"]
    assert "Spans do not reach http://127.0.0.1:1" in ours[0].getMessage()


def test_an_exporter_that_breaks_is_told_of_and_what_it_loses_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(InMemorySpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            raise OSError("no such certificate")

    lost: list[int] = []
    exporter = PatientExporter(Broken(), "http://collector")
    exporter.lost = lost.append

    result = exporter.export([ReadableSpan("one"), ReadableSpan("two")])

    assert result is SpanExportResult.FAILURE
    assert lost == [2]
    assert "Spans do not reach http://collector (OSError)" in caplog.text


def test_a_collector_that_refuses_is_named_with_its_reason_and_its_return_is_told(
    collector: Collector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    collector.refuses = True

    with traced(collector.url) as tracing:
        with SPANS.span("lost"):
            pass
        await_lost = threading.Event()
        tracing.exporter.lost = lambda _: await_lost.set()
        assert await_lost.wait(30)
        collector.refuses = False
        with SPANS.span("taken"):
            pass

    said = [one.getMessage() for one in caplog.records if one.name.startswith("durable")]
    assert [one.name for one in collector.spans] == ["taken"]
    assert "(Unauthorized)" in said[0]
    assert said[1] == f"Spans reach {collector.url} again."


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "it is no address such as"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:p@host", "it is no address such as"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port", "it is no address such as"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://:4318", "it is no address such as"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:99999", "it is no address such as"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1", "it is no address such as"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a token", "it is no list such as name=value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0Ac", "no header can hold"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,c=%E2%82%AC", "no header can hold"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a:b=c", "no header can hold"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "Input should be 'http/protobuf'"),
        ("OTEL_RESOURCE_ATTRIBUTES", "prod", "it is no list such as name=value"),
        ("OTEL_TRACES_SAMPLER", "some", "Input should be"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "less than or equal to 1"),
        ("LOG_FORMAT", "xml", "Input should be 'text' or 'json'"),
    ],
)
def test_a_value_that_does_not_fit_is_one_clear_line(variable: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Settings.load({variable: value}, dotenv=None, use_run_file=False)

    line = raised.value.message
    assert line.startswith(f"{variable} is not usable: ")
    assert said in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many"),
    ],
)
def test_a_variable_that_the_library_cannot_use_is_one_clear_line(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigurationError, match="Traces cannot begin") as raised:
        begin_tracing(Settings(otel_exporter_otlp_endpoint="http://127.0.0.1:1"))

    assert "OTEL_" in raised.value.message
    assert len(raised.value.message.splitlines()) == 1
    assert not SPANS.on


@pytest.mark.parametrize(
    ("sampler", "ratio", "names"),
    [
        ("always_off", 1, []),
        ("parentbased_traceidratio", 0, []),
        ("traceidratio", 1, ["outer", "inner"]),
    ],
)
def test_a_sampler_keeps_whole_traces(
    collector: Collector, sampler: str, ratio: float, names: list[str]
) -> None:
    with (
        traced(collector.url, otel_traces_sampler=sampler, otel_traces_sampler_arg=ratio),
        SPANS.span("outer"),
        SPANS.span("inner"),
    ):
        pass

    assert sorted(one.name for one in collector.spans) == sorted(names)


def test_what_a_collector_wants_to_see_is_a_secret() -> None:
    token = "t0ken-for-the-collector"

    Settings.load(
        {"OTEL_EXPORTER_OTLP_HEADERS": f"x-team=a,authorization=Bearer%20{token}"},
        dotenv=None,
        use_run_file=False,
    )

    assert token not in SECRETS.redact(f"sent with {token}")


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert begin_tracing(Settings()) is None
    assert not SPANS.on
    assert SPANS.ids() == {}


@pytest.mark.parametrize(
    ("error", "is_failed", "named"),
    [
        (CancelledError("stopped"), False, "cancelled"),
        (asyncio.CancelledError(), False, "cancelled"),
        (ApplicationError("no", type="Refused"), True, "Refused"),
    ],
)
def test_what_is_cancelled_is_not_marked_as_failed(
    collector: Collector, error: BaseException, is_failed: bool, named: str
) -> None:
    with (
        traced(collector.url),
        pytest.raises(type(error)),
        SPANS.span("work"),
    ):
        raise error

    assert [one.failed for one in collector.spans] == [is_failed]
    assert error_type_of(error) == named


def test_a_process_tells_the_namespace_that_it_works_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / "temporal.toml"
    profile.write_text('[profile.default]\naddress = "127.0.0.1:1"\nnamespace = "elsewhere"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profile))

    assert about(Settings(), ["inbox"])["temporal.namespace"] == "elsewhere"


def test_a_configuration_of_temporal_that_cannot_be_used_ends_no_command_that_traces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", "/nowhere/at-all.toml")
    monkeypatch.setenv("TEMPORAL_PROFILE", "none")

    assert about(Settings(), ["starter"])["durable_agents.roles"] == "starter"

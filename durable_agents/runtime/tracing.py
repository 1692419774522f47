"""Traces: begun for a process by its settings, handed to a collector, flushed at its end.

A collector that is away never holds anything up: spans wait in a queue of bounded length, and what
does not fit or does not arrive is lost. That is said once, and once when it is over.
"""

import logging
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.connection import namespace_of
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.telemetry_settings import TelemetrySettings, pairs
from durable_agents.telemetry.spans import SPANS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import Tracer, TracerProvider

SCOPE = "durable_agents"
STARTER = "starter"
EXPORT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 1.0  # about the first pause before another try: there is no other
FLUSH_S = 2.0  # a process that ends waits so long for its last spans; less than its drain has
ATTRIBUTES = 3  # their place among the arguments of `get_tracer`
TRACES_PATH = "/v1/traces"

logger = logging.getLogger(__name__)


class Tracing:
    """The traces of this process, from here to `end`.

    Args:
        settings: Where they go.
        about: What they say of the process: attributes of the resource.
        timeout_s: How long one export may take.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        about: Mapping[str, str],
        *,
        timeout_s: float = EXPORT_TIMEOUT_S,
    ) -> None:
        # The library takes 200 ms to load; only who traces waits for that.
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from temporalio.contrib.opentelemetry import (
            ReplaySafeTracerProvider,
            create_tracer_provider,
        )

        exporter = OTLPSpanExporter(
            endpoint=settings.otel_exporter_otlp_endpoint + TRACES_PATH,
            headers=dict(pairs(settings.otel_exporter_otlp_headers.get_secret_value())),
            timeout=timeout_s,
        )
        self.exporter = PatientExporter(exporter, settings.otel_exporter_otlp_endpoint)
        named = {"service.name": settings.otel_service_name, **about}
        self._provider = create_tracer_provider(
            sampler=_sampler(settings),
            resource=Resource.create({**pairs(settings.otel_resource_attributes), **named}),
            shutdown_on_exit=False,  # `end` does it, and within bounds
        )
        # The SDK's interceptor asks for a tracer at each activity; a new one costs half a span.
        _keep_tracers(self._provider)
        self._provider.add_span_processor(BatchSpanProcessor(cast("SpanExporter", self.exporter)))
        if not isinstance(trace.get_tracer_provider(), ReplaySafeTracerProvider):
            trace.set_tracer_provider(self._provider)  # the SDK's interceptor asks for such a one
        wanted = settings.otel_instrumentation_genai_capture_message_content
        SPANS.begin(self._provider.get_tracer(SCOPE), contents=wanted == "true")

    def end(self) -> None:
        """Send what is left, for two seconds at most; there are no traces from here on."""
        SPANS.end()
        # A thread, since the library waits for thirty seconds or for as long as an export takes.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(FLUSH_S)


def begin_tracing(
    settings: Settings,
    roles: Sequence[str] = (),
    *,
    timeout_s: float = EXPORT_TIMEOUT_S,
) -> Tracing | None:
    """Begin the traces of this process, if its settings say where they go.

    Raises:
        ConfigurationError: The library cannot use a variable that it reads itself.
    """
    if not settings.otel_exporter_otlp_endpoint:
        return None
    try:
        return Tracing(settings, about(settings, roles), timeout_s=timeout_s)
    except (ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f"Traces cannot begin: {str(error).rstrip('.')}. Correct the OTEL_* variables of the "
            "environment, or unset OTEL_EXPORTER_OTLP_ENDPOINT to go without."
        ) from error


def about(settings: Settings, roles: Sequence[str]) -> dict[str, str]:
    """What traces say of the process that made them."""
    try:
        namespace = namespace_of(settings)
    except ConfigurationError:  # said by whoever connects
        namespace = settings.temporal_namespace
    return {
        "service.version": version("durable-agents"),
        "durable_agents.roles": ",".join(roles),
        "durable_agents.build_id": settings.worker_build_id,
        "temporal.namespace": namespace,
    }


@contextmanager
def traced(settings: Settings, role: str = STARTER) -> Generator[None]:
    """The traces of a command, while it lasts.

    A starter does not wait for a collector that is away: what is not taken at once is lost.
    """
    timeout_s = COMMAND_TIMEOUT_S if role == STARTER else EXPORT_TIMEOUT_S
    tracing = begin_tracing(settings, [role], timeout_s=timeout_s)
    try:
        yield
    finally:
        if tracing is not None:
            tracing.end()


class PatientExporter:
    """Hands spans on, and says once when nobody takes them.

    Args:
        inner: Who sends them.
        address: Where to, for people.
    """

    def __init__(self, inner: "SpanExporter", address: str) -> None:
        self._inner = inner
        self._address = address
        self._away = False
        self._reason = ""
        self.lost: Callable[[int], None] = _uncounted
        # The library logs each failure, and each span that finds the queue full: we say it once.
        for name in (type(inner).__module__, "opentelemetry.sdk._shared_internal"):
            logging.getLogger(name).filters.insert(0, self._heed)

    def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
        """Send some spans; those that are not taken are lost."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        self._reason = ""
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 - else the library says it, to nobody
            self._reason, result = type(error).__name__, SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            if self._away:
                logger.warning("Spans reach %s again.", self._address)
            self._away = False
            return result
        self.lost(len(spans))
        if not self._away:
            logger.warning(
                "Spans do not reach %s (%s); they are lost until it takes them. The work goes on. "
                "Check OTEL_EXPORTER_OTLP_ENDPOINT, with its headers and certificates, and that "
                "the collector runs.",
                self._address,
                self._reason or "no answer",
            )
        self._away = True
        return result

    def shutdown(self) -> None:
        """Close the connections."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True

    def _heed(self, record: logging.LogRecord) -> bool:
        """Keep what the library says was the reason; nobody is told by it."""
        if record.name.startswith("opentelemetry.sdk"):
            if record.levelno == logging.WARNING:  # the queue is full
                self.lost(1)
            return False
        given = record.args if isinstance(record.args, tuple) else ()
        for said in given:
            if isinstance(said, Exception):
                self._reason = type(said).__name__
            elif isinstance(said, str) and said not in {"spans", ""}:
                self._reason = said
        return False


def _keep_tracers(provider: "TracerProvider") -> None:
    """Have a provider give who asks again the tracer that it gave before."""
    make = provider.get_tracer
    kept = cache(make)

    def get_tracer(*given: Any, **named: Any) -> "Tracer":
        if len(given) > ATTRIBUTES or named.get("attributes"):  # which are no key
            return make(*given, **named)
        return kept(*given, **named)

    provider.get_tracer = get_tracer


def _uncounted(_: int) -> None:
    """Nobody counts what is lost."""


def _sampler(settings: TelemetrySettings) -> "Sampler":
    from opentelemetry.sdk.trace import sampling

    name, ratio = settings.otel_traces_sampler, settings.otel_traces_sampler_arg
    roots: dict[str, Sampler] = {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "traceidratio": sampling.TraceIdRatioBased(ratio),
    }
    root = roots[name.removeprefix("parentbased_")]
    return sampling.ParentBased(root) if name.startswith("parentbased_") else root

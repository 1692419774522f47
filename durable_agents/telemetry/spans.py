"""Spans of traces, where somebody asked for traces; where nobody did they cost next to nothing.

The library of OpenTelemetry is loaded by whoever begins traces (`durable_agents.runtime.tracing`),
and nowhere else. Spans name things and count; what people and models said is in them only where a
setting asks for it, without secrets.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Protocol

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from durable_agents.telemetry.redaction import SECRETS

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span as Recorded
    from opentelemetry.trace import SpanContext, Tracer
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool | Sequence[str]

LONGEST_CONTENT = 8000  # characters of each text that is told
CUT = " [...]"
UNTOLD = "(what cannot be told)"


class Span(Protocol):
    """Something that is timed while it lasts (`with`); what raises inside marks it as failed."""

    def __enter__(self) -> "Span":
        """Begin."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object):
        """End."""
        ...

    def tell(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes."""
        ...

    def failed(self, error_type: str) -> None:
        """Mark it as failed although nothing is raised."""
        ...


class _Nothing:
    """The span of somebody who asked for none."""

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, *_: object
    ) -> None:
        pass

    def tell(self, attributes: Mapping[str, Value]) -> None:
        pass

    def failed(self, error_type: str) -> None:
        pass


class _Timed:
    """A span that is recorded."""

    def __init__(
        self,
        tracer: "Tracer",
        name: str,
        kind: Kind,
        given: Mapping[str, Value],
        *,
        apart: bool,
        follows: str,
    ) -> None:
        self._tracer, self._name, self._kind, self._given = tracer, name, kind, given
        self._apart, self._follows = apart, follows
        self._span: Recorded | None = None
        self._token: Token[Context] | None = None

    def __enter__(self) -> Span:
        from opentelemetry import context, trace

        current = trace.get_current_span().get_span_context()
        linked = [current] if self._apart else []
        if self._follows:
            linked.append(_place_of(self._follows))
        under = context.Context() if self._apart else None  # None: under what is current
        self._span = self._tracer.start_span(
            self._name,
            context=under,
            kind=trace.SpanKind[self._kind.upper()],
            attributes=self._given,
            links=[trace.Link(one) for one in linked if one.is_valid],
            record_exception=False,
            set_status_on_exception=False,
        )
        self._token = context.attach(trace.set_span_in_context(self._span, under))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, *_: object
    ) -> None:
        if isinstance(error, Exception) and not is_cancelled_exception(error):
            self.failed(error_type_of(error))
        # A run whose memory is collected does not end: another replay will end its spans.
        is_dropped = isinstance(error, GeneratorExit)
        if self._span is not None and not is_dropped and not _is_tried_again(error):
            self._span.end()
        # A workflow that is dropped from memory leaves its blocks wherever that happens.
        with suppress(ValueError):
            if self._token is not None:
                self._token.var.reset(self._token)

    def tell(self, attributes: Mapping[str, Value]) -> None:
        if self._span is not None:
            self._span.set_attributes(attributes)

    def failed(self, error_type: str) -> None:
        from opentelemetry.trace import StatusCode

        if self._span is not None:
            self._span.set_attribute("error.type", error_type)
            self._span.set_status(StatusCode.ERROR)  # without words: they may be anybody's


class Spans:
    """What makes the spans of this process."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None
        self.contents = False

    @property
    def on(self) -> bool:
        """Whether anybody asked for traces."""
        return self._tracer is not None

    def begin(self, tracer: "Tracer", *, contents: bool = False) -> None:
        """Make spans from now on; `contents` also tells what people and models said."""
        self._tracer, self.contents = tracer, contents

    def end(self) -> None:
        """Make none any more."""
        self._tracer, self.contents = None, False

    def span(
        self,
        name: str,
        kind: Kind = "internal",
        attributes: Mapping[str, Value] | None = None,
        *,
        apart: bool = False,
        follows: str = "",
    ) -> Span:
        """A span under the one that is current; `apart` begins a trace that is linked to it.

        It is also linked to what it `follows`, a `traceparent` that was kept.
        """
        if self._tracer is None:
            return _NOTHING
        given = attributes or {}
        return _Timed(self._tracer, name, kind, given, apart=apart, follows=follows)

    def traceparent(self) -> str:
        """The current span for who works on later, as W3C's Trace Context writes it.

        Empty where there is none, and where its trace is not kept.
        """
        if self._tracer is None:
            return ""
        from opentelemetry import trace

        carrier: dict[str, str] = {}
        if trace.get_current_span().get_span_context().trace_flags.sampled:
            _form().inject(carrier)
        return carrier.get("traceparent", "")

    def ids(self) -> dict[str, str]:
        """The ids of the current trace and span, in hexadecimal; empty where there is none."""
        if self._tracer is None:
            return {}
        from opentelemetry import trace

        current = trace.get_current_span().get_span_context()
        if not current.is_valid:
            return {}
        return {"trace_id": f"{current.trace_id:032x}", "span_id": f"{current.span_id:016x}"}


_NOTHING = _Nothing()

SPANS = Spans()
"""The spans of this process; `durable_agents.runtime.tracing` begins them."""


def _form() -> "TraceContextTextMapPropagator":
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()


def _place_of(traceparent: str) -> "SpanContext":
    """The span that a `traceparent` names; an invalid one where it names none."""
    from opentelemetry import context, trace

    under = _form().extract({"traceparent": traceparent}, context.Context())
    return trace.get_current_span(under).get_span_context()


def _is_tried_again(error: BaseException | None) -> bool:
    """Whether a workflow task failed of it: the task is done again, and what lasts with it."""
    if not isinstance(error, Exception) or not workflow.in_workflow():
        return False
    return not workflow.is_failure_exception(error)


def told(value: Any) -> str:
    """What people or models said, for an attribute: text or JSON, bounded, without secrets.

    Whatever was said, telling it fails nothing.
    """
    try:
        bounded = _bounded(value)
        text = bounded if isinstance(bounded, str) else json.dumps(bounded, ensure_ascii=False)
    except (RecursionError, TypeError, ValueError):
        return UNTOLD
    # Half of a surrogate pair would cost all the spans that are sent with this one.
    return SECRETS.redact(text.encode("utf-8", "replace").decode())


def as_json(text: str) -> Any:
    """What a text says as JSON, to be told; the text itself where it is none."""
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        return text


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) <= LONGEST_CONTENT:
            return value
        return SECRETS.redact(value)[:LONGEST_CONTENT] + CUT  # before a secret is cut in two
    if isinstance(value, Mapping):
        return {str(name): _bounded(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
    if isinstance(value, list | tuple):
        return [_bounded(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - any JSON
    return value


def error_type_of(error: BaseException) -> str:
    """The name of an error: that which a step raised, not the SDK's wrappings of it."""
    while isinstance(error, FailureError) and not isinstance(error, ApplicationError):
        if error.cause is None:
            break
        error = error.cause
    named = error.type if isinstance(error, ApplicationError) else None
    if is_cancelled_exception(error):
        return "cancelled"
    return named or type(error).__name__

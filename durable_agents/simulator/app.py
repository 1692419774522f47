"""The simulator's routes."""

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route as Path

from durable_agents.simulator import EMBEDDING_MODEL_NAME, MODEL_NAME, pages
from durable_agents.simulator.broken_responses import (
    DroppedResponse,
    HangingResponse,
    not_json_response,
)
from durable_agents.simulator.call_log import CallLog
from durable_agents.simulator.chat import complete, complete_wrongly, read_request
from durable_agents.simulator.completions import CREATED, streamed_answer, whole_answer
from durable_agents.simulator.control import Control
from durable_agents.simulator.embeddings import EmbeddingsRequest, embeddings_answer
from durable_agents.simulator.faults import Fault, FaultBook, Route
from durable_agents.simulator.openai_errors import OpenAIRequestError, error_response, malformed
from durable_agents.simulator.weather import WeatherRequestError, forecast, found_places

_BROKEN: dict[str, Callable[[], Response]] = {
    "drop": DroppedResponse,
    "hang": HangingResponse,
    "invalid_json": not_json_response,
}
Handler = Callable[[Request, bytes, Fault | None], Response]


def create_app(latency_s: float = 0.0) -> Starlette:
    """Build the simulator.

    Args:
        latency_s: Seconds that each answer of a simulated service takes longer.
    """
    simulator = _Simulator(latency_s)
    control = Control(simulator.faults, simulator.calls)
    return Starlette(
        routes=[
            Path("/", pages.about),
            Path("/healthz", pages.about),
            Path("/v1/models", simulator.models),
            Path("/v1/chat/completions", simulator.serving("chat", _chat), methods=["POST"]),
            Path("/v1/embeddings", simulator.serving("embeddings", _embeddings), methods=["POST"]),
            Path("/v1/search", simulator.serving("weather", _search)),
            Path("/v1/forecast", simulator.serving("weather", _forecast)),
            Path("/pages/refund-policy", pages.refund_policy),
            Path("/pages/hello.txt", pages.hello),
            *control.routes(),
        ],
        exception_handlers={
            HTTPException: _unknown_route,
            OpenAIRequestError: _refused,
            WeatherRequestError: _weather_refused,
        },
    )


class _Simulator:
    def __init__(self, latency_s: float) -> None:
        self.faults = FaultBook()
        self.calls = CallLog()
        self._latency_s = latency_s
        self._served = 0

    def serving(self, route: Route, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a handler with what every simulated service has: log, key, latency, faults."""

        async def endpoint(request: Request) -> Response:
            body = await request.body()
            sought = request.url.query if route == "weather" else body.decode("utf-8", "replace")
            fault = self.faults.take(route, sought)
            kind = fault.kind if fault else None
            self.calls.add(route, request, body, kind)
            await asyncio.sleep(self._latency_s + (fault.latency_s if fault else 0.0))
            if route != "weather":
                _check_key(request)
            response = _answer(route, handler, request, body, fault)
            self._served += 1
            response.headers["x-request-id"] = f"req_simulator_{self._served}"
            return response

        return endpoint

    async def models(self, request: Request) -> Response:
        """List the two models."""
        _check_key(request)
        self.calls.add("models", request, b"", None)
        names = (MODEL_NAME, EMBEDDING_MODEL_NAME)
        models = [
            {"id": name, "object": "model", "created": CREATED, "owned_by": "simulator"}
            for name in names
        ]
        return JSONResponse({"object": "list", "data": models})


def _answer(
    route: Route, handler: Handler, request: Request, body: bytes, fault: Fault | None
) -> Response:
    if fault is None or fault.kind == "latency":
        return handler(request, body, None)
    if fault.kind in _BROKEN:
        return _BROKEN[fault.kind]()
    if fault.kind == "status":
        return _failed(route, fault)
    return handler(request, body, fault)


def _failed(route: Route, fault: Fault) -> Response:
    if route == "weather":
        reason = {"error": True, "reason": f"The simulator was told to answer {fault.status}."}
        return JSONResponse(reason, status_code=fault.status, headers=fault.headers())
    message = fault.text or f"The simulator was told to answer {fault.status}."
    return error_response(fault.status, message, fault.error_code, None, fault.headers())


def _chat(_: Request, body: bytes, fault: Fault | None) -> Response:
    request = read_request(body)
    completion = complete_wrongly(request, fault) if fault else complete(request)
    if request.stream:
        chunks = streamed_answer(completion, request, body)
        return StreamingResponse(chunks, media_type="text/event-stream")
    return JSONResponse(whole_answer(completion, request, body))


def _embeddings(_: Request, body: bytes, fault: Fault | None) -> Response:
    try:
        request = EmbeddingsRequest.model_validate_json(body)
    except ValidationError as error:
        raise malformed(error) from error
    if request.model != EMBEDDING_MODEL_NAME:
        raise OpenAIRequestError(
            404, f"The model '{request.model}' does not exist.", code="model_not_found"
        )
    answer = embeddings_answer(request)
    if fault:
        answer["data"] = [] if fault.kind == "empty" else [{"nonsense": fault.text or True}]
    return JSONResponse(answer)


def _search(request: Request, _: bytes, fault: Fault | None) -> Response:
    name = request.query_params.get("name")
    if name is None:
        raise WeatherRequestError("Parameter 'name' is required.")
    if fault:
        return _spoiled_weather(fault)
    count = max(1, min(100, int(_number(request, "count", "10"))))
    return JSONResponse(found_places(name, count))


def _forecast(request: Request, _: bytes, fault: Fault | None) -> Response:
    if fault:
        return _spoiled_weather(fault)
    query = request.query_params
    current, daily = (
        [name for name in query.get(key, "").split(",") if name] for key in ("current", "daily")
    )
    days = max(1, min(16, int(_number(request, "forecast_days", "7"))))
    latitude, longitude = _number(request, "latitude"), _number(request, "longitude")
    return JSONResponse(forecast(latitude, longitude, current, daily, days))


def _spoiled_weather(fault: Fault) -> Response:
    return JSONResponse({} if fault.kind == "empty" else {"nonsense": fault.text or True})


def _number(request: Request, name: str, default: str | None = None) -> float:
    text = request.query_params.get(name, default)
    if text is None:
        raise WeatherRequestError(f"Parameter '{name}' and its value are required.")
    try:
        return float(text)
    except ValueError as error:
        raise WeatherRequestError(f"Value '{text}' of '{name}' is not a number.") from error


def _check_key(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise OpenAIRequestError(401, "You didn't provide an API key.", code="invalid_api_key")
    if key.strip() == "wrong":
        raise OpenAIRequestError(401, "Incorrect API key provided: wrong.", code="invalid_api_key")


async def _unknown_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return error_response(status, f"Invalid URL ({request.method} {request.url.path})")


async def _refused(_: Request, error: Exception) -> Response:
    return (
        error.response()
        if isinstance(error, OpenAIRequestError)
        else error_response(500, str(error))
    )


async def _weather_refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": True, "reason": str(error)}, status_code=400)

"""The routes by which tests and benchmarks steer the simulator: faults, and what was asked."""

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from durable_agents.simulator.call_log import LONGEST_LOG, CallLog
from durable_agents.simulator.faults import Fault, FaultBook


class Control:
    """Serves `/_faults` and `/_calls`."""

    def __init__(self, faults: FaultBook, calls: CallLog) -> None:
        self._faults = faults
        self._calls = calls

    def routes(self) -> list[BaseRoute]:
        """The routes, for the application."""
        return [
            Route("/_faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/_calls", self.calls, methods=["GET", "DELETE"]),
        ]

    async def faults(self, request: Request) -> Response:
        """Ask for a fault, list those that are left, or forget them (`?match=` those of a test)."""
        if request.method == "DELETE":
            self._faults.clear(request.query_params.get("match"))
            return JSONResponse({"faults": self._faults.listed()})
        if request.method == "POST":
            try:
                self._faults.add(Fault.model_validate_json(await request.body()))
            except ValidationError as error:
                return JSONResponse({"error": str(error)}, status_code=422)
        return JSONResponse({"faults": self._faults.listed()})

    async def calls(self, request: Request) -> Response:
        """Tell what was asked (`?match=` a text in it, `?last=` how many), or forget it."""
        if request.method == "DELETE":
            self._calls.clear()
        last = request.query_params.get("last", "")
        count = int(last) if last.isdigit() else LONGEST_LOG
        return JSONResponse(self._calls.listed(request.query_params.get("match", ""), count))

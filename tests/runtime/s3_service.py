"""A service on loopback that speaks as much of S3 as the driver asks for."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class S3Service:
    """Objects in memory, by bucket and key; `writes` counts how often one was written."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes: Counter[str] = Counter()
        self.url = ""

    def application(self) -> Starlette:
        """What answers."""
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "PUT"])])

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if request.method == "PUT":
            self.objects[path] = await request.body()
            self.writes[path] += 1
            return Response(headers={"ETag": '"made"'})
        if path not in self.objects:
            missing = "<Error><Code>NoSuchKey</Code></Error>"
            return Response(missing, status_code=404, media_type="application/xml")
        return Response(self.objects[path], headers={"ETag": '"made"'})


@asynccontextmanager
async def s3_service() -> AsyncGenerator[S3Service]:
    """Run the service."""
    service = S3Service()
    config = uvicorn.Config(service.application(), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server._serve())  # pyright: ignore[reportPrivateUsage] - without its signal handlers
    while not server.started:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    service.url = f"http://{host}:{port}"
    try:
        yield service
    finally:
        server.should_exit = True
        await serving

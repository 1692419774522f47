"""The files that pages load: our style and keys, and htmx out of its package.

They are read once and named by their content, so that browsers keep them until they change.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

YEAR_S = 365 * 24 * 3600


@dataclass(frozen=True)
class Asset:
    """A file: what it is, its bytes, and a digest for its address."""

    media_type: str
    content: bytes
    digest: str


class Assets:
    """All files that pages load."""

    def __init__(self) -> None:
        ours = files("inbox") / "static"
        found: dict[str, tuple[str, Traversable]] = {
            "style.css": ("text/css", ours / "style.css"),
            "keys.js": ("text/javascript", ours / "keys.js"),
            "icon.svg": ("image/svg+xml", ours / "icon.svg"),
            # The package has a name of Django's world, and needs nothing of it.
            "htmx.js": ("text/javascript", files("js_lib_htmx") / "static/htmx/htmx.min.js"),
        }
        self._assets = {name: _read(kind, file) for name, (kind, file) in found.items()}

    def url(self, name: str) -> str:
        """The address of a file, for a template."""
        return f"/static/{name}?v={self._assets[name].digest}"

    def routes(self) -> list[Route]:
        """Where they are served."""
        return [Route("/static/{name}", self._serve)]

    async def _serve(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            return Response(status_code=404)
        is_this = request.query_params.get("v") == asset.digest
        lasts = f"public, max-age={YEAR_S}, immutable" if is_this else "no-cache"
        return Response(
            asset.content, media_type=asset.media_type, headers={"Cache-Control": lasts}
        )


def _read(media_type: str, file: Traversable) -> Asset:
    content = file.read_bytes()
    return Asset(media_type, content, hashlib.sha256(content).hexdigest()[:16])

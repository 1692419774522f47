"""Two small pages to fetch, and the page that says what this server is."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse

from durable_agents.simulator import EMBEDDING_MODEL_NAME, MODEL_NAME

REFUND_POLICY = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Refund policy</title></head>
<body>
<h1>Refund policy</h1>
<p>You can return any product within 30 days of delivery and get the full price back.</p>
<p>Refunds are paid to the original means of payment within 5 working days.</p>
<p>Opened software and gift cards are not refunded. Return shipping is free within the country.</p>
<script>document.title = "not text"</script>
</body>
</html>
"""
HELLO = "Hello from the simulator. This page is plain text.\n"


async def about(_: Request) -> JSONResponse:
    """Say that this is a stand-in, and for what."""
    return JSONResponse(
        {
            "service": "durable-agents simulator",
            "stand_in": True,
            "stands_in_for": ["OpenAI API", "Open-Meteo geocoding and forecast"],
            "models": [MODEL_NAME, EMBEDDING_MODEL_NAME],
            "note": "Deterministic and extractive: it repeats what it is given and knows nothing.",
        }
    )


async def refund_policy(_: Request) -> HTMLResponse:
    """Give a page of HTML."""
    return HTMLResponse(REFUND_POLICY)


async def hello(_: Request) -> PlainTextResponse:
    """Give a page of plain text."""
    return PlainTextResponse(HELLO)

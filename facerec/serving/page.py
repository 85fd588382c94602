"""The page at `/`: one HTML file, which calls the API like any other client."""

import base64
import hashlib
import re
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

_HTML = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def _hash_source(element: str) -> str:
    """The Content-Security-Policy source that permits the page's own inline `element` and no other: its hash."""
    content = re.findall(f"<{element}[^>]*>(.*?)</{element}>", _HTML, re.DOTALL)[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash_source('script')}",
            f"style-src {_hash_source('style')}",
            "img-src blob: data:",  # pictures that the visitor chose; no other host learns what somebody looks at
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

page = APIRouter(include_in_schema=False)


@page.head("/")
@page.get("/")
async def index() -> HTMLResponse:
    """Try the service in a browser."""
    return HTMLResponse(_HTML, headers=_HEADERS)

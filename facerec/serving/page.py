"""The page at `/`: one HTML file, which calls the API like any other client. It says which network recognizes."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from facerec.serving.content_security import hash_source
from facerec.serving.service import RecognitionService

_HTML = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            f"script-src {hash_source(_HTML, 'script')}",
            f"style-src {hash_source(_HTML, 'style')}",
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
async def index(request: Request) -> HTMLResponse:
    """Try the service in a browser."""
    service: RecognitionService = request.state.service
    return HTMLResponse(_HTML.replace("{{backbone}}", service.models.recognizer.backbone), headers=_HEADERS)

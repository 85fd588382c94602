"""The page at `/`: one HTML file, which calls the API like any other client. It says which network recognizes.

Its style and its scripts are separate files here, and are put into the page once, at import.
"""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from facerec.serving.content_security import hash_source
from facerec.serving.service import RecognitionService

_FOLDER = Path(__file__).with_name("page")
_SCRIPTS = ("service.js", "dialog.js", "pictures.js", "enrolment.js", "people.js")
"""One script, in this order."""


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


_HTML = (
    _read("page.html")
    .replace("{{style}}", _read("page.css"))
    .replace("{{script}}", "\n".join(map(_read, _SCRIPTS)))
)  # fmt: skip
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
    html = _HTML.replace("{{backbone}}", service.models.recognizer.backbone).replace("{{enrolling}}", "")
    return HTMLResponse(html, headers=_HEADERS)

"""The page at `/`: one HTML file, which calls the API like any other client. It says which network recognizes.

Its style and its scripts are separate files here, and are put into the page once, at import.
"""

import html
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from facerec.serving.content_security import hash_source
from facerec.serving.errors import KeyRequiredToEnrol
from facerec.serving.service import RecognitionService

_FOLDER = Path(__file__).with_name("page")
_STYLES = ("page.css", "answers.css")
_SCRIPTS = (
    *("service.js", "dialog.js", "zoom.js", "turned.js", "tags.js", "faces.js", "card.js", "answers.js", "upload.js"),
    *("enrolment.js", "people.js", "model.js", "views.js"),
)
"""One script, in this order."""


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


_STYLED = _read("page.html").replace("{{style}}", "\n".join(map(_read, _STYLES)))
_HTML = _STYLED.replace("{{script}}", "\n".join(map(_read, _SCRIPTS)))
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


def page_router(*, can_enrol: bool) -> APIRouter:
    """The endpoint of the page, which says how enrolling is turned on where it is off."""
    page = APIRouter(include_in_schema=False)
    enrolling = "" if can_enrol else html.escape(KeyRequiredToEnrol.message)

    @page.head("/")
    @page.get("/")
    async def index(request: Request) -> HTMLResponse:
        """Try the service in a browser."""
        service: RecognitionService = request.state.service
        backbone = service.models.recognizer.backbone
        filled = _HTML.replace("{{backbone}}", backbone).replace("{{enrolling}}", enrolling)
        return HTMLResponse(filled, headers=_HEADERS)

    return page

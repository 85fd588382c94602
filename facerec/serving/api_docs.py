"""The API's documentation at `/docs`: Swagger UI, whose files the service serves itself.

This is FastAPI's documented way of hosting these files oneself. The package fastapi-swagger holds them; its own
`patch_fastapi` would link them by the host that the client names. All links of the page are relative, so that it works
behind a proxy that strips a prefix of the path.
"""

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from facerec.serving.content_security import hash_source


def add_docs(app: FastAPI) -> None:
    """Add `/docs` and the files that it needs."""
    html = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=app.title,
        swagger_js_url="swagger/swagger-ui-bundle.js",
        swagger_css_url="swagger/swagger-ui.css",
        swagger_favicon_url="swagger/favicon-32x32.png",
        swagger_ui_parameters={"validatorUrl": None},  # it would send the document to another host
    ).body
    headers = {
        "Content-Security-Policy": "; ".join(
            (
                "default-src 'self'",
                f"script-src 'self' {hash_source(bytes(html).decode(), 'script')}",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data:",
                "frame-ancestors 'none'",
            )
        )
    }

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(html, headers=headers)

    app.mount("/swagger", StaticFiles(packages=[("fastapi_swagger", "resources")]))

"""`wardround watch`: a run of this machine as a page that lives, while it runs and after."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from fastapi.responses import HTMLResponse, Response

from experiments.pages.answers import Streams, new_app, run_document
from experiments.pages.asgi import ASGIApp
from experiments.pages.gate import Gate
from experiments.pages.keys import Keys
from experiments.pages.moment import Followed
from experiments.pages.run_page import run_page


def watch_app(folder: Path, keys: Keys, closing: Event) -> ASGIApp:
    """The application, behind its gate."""
    app, followed = new_app(), Followed(folder)
    streams = Streams(closing)

    @app.get("/", response_model=None)
    def page() -> Response:
        return HTMLResponse(run_page(followed.moment()))

    @app.get("/events", response_model=None)
    def events() -> Response:
        return streams.answer(followed.version)

    @app.get("/report", response_model=None)
    def report() -> Response:
        return run_document(folder, "report.html")

    @app.get("/audit", response_model=None)
    def audit() -> Response:
        return run_document(folder, "audit.html")

    return Gate(app, keys)

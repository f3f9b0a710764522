"""`wardround server ui`: the page of a coordinator, behind its gate, and what its forms do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from common.errors import WardroundError
from experiments.coordinator.job_queue import Job
from experiments.coordinator.jobs import stop_job, submit_again
from experiments.pages.answers import Streams, fault_page, new_app, run_document
from experiments.pages.asgi import ASGIApp
from experiments.pages.coordinator.job_page import job_page
from experiments.pages.coordinator.looked_at import LookedAt
from experiments.pages.coordinator.overview import overview
from experiments.pages.gate import Gate
from experiments.pages.keys import Keys
from experiments.pages.moment import Followed


def server_app(folder: Path, keys: Keys, closing: Event) -> ASGIApp:
    """The application."""
    app, looked, streams = new_app(), LookedAt(folder, closing), Streams(closing)

    def shown(request: Request, job: Job, said: str = "", look: str = "good", status: int = 200) -> Response:
        queue = looked.queue
        page = job_page(job, queue.standing(job), queue.is_to_stop(job), _proof(request), said, look)
        return HTMLResponse(page, status)

    def with_job(number: str, use: Callable[[Job], Response]) -> Response:
        try:
            job = looked.queue.job(number)
        except WardroundError as error:
            return HTMLResponse(fault_page("There is no such job", str(error), "../"), 404)
        return use(job)

    def done(request: Request, number: str, act: Callable[[Job], Job]) -> Response:
        def use(job: Job) -> Response:
            try:
                after = act(job)
            except WardroundError as error:
                return shown(request, job, str(error), "bad", 400)
            return RedirectResponse(f"{request.scope['root_path']}/job/{after.id}", 303)

        return with_job(number, use)

    @app.get("/", response_model=None)
    def page() -> Response:
        return HTMLResponse(overview(looked))

    @app.get("/events", response_model=None)
    def events() -> Response:
        return streams.answer(looked.version)

    @app.get("/job/{number}", response_model=None)
    def job(request: Request, number: str) -> Response:
        return with_job(number, lambda one: shown(request, one))

    @app.get("/job/{number}/events", response_model=None)
    def job_events(number: str) -> Response:
        return with_job(number, lambda one: streams.answer(lambda: _version(looked, one)))

    @app.get("/job/{number}/report", response_model=None)
    def report(number: str) -> Response:
        return with_job(number, lambda one: run_document(Path(one.folder), "report.html"))

    @app.get("/job/{number}/audit", response_model=None)
    def audit(number: str) -> Response:
        return with_job(number, lambda one: run_document(Path(one.folder), "audit.html"))

    @app.post("/job/{number}/stop", response_model=None)
    def stop(request: Request, number: str) -> Response:
        return done(request, number, lambda one: stop_job(folder, one.id))

    @app.post("/job/{number}/resume", response_model=None)
    def resume(request: Request, number: str) -> Response:
        accepts = request.scope["state"]["form"].get("accepts") == "yes"
        return done(request, number, lambda one: submit_again(folder, Path(one.folder), accepts))

    return Gate(app, keys)


def _version(looked: LookedAt, job: Job) -> str:
    return f"{Followed(Path(job.folder)).version()} {looked.queue.standing(job)} {looked.queue.is_to_stop(job)}"


def _proof(request: Request) -> str:
    return str(request.scope["state"]["session"].proof)

"""`wardround node ui`: the page of a hospital's node, behind its gate, and what its forms do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from client.approved_studies import APPROVED
from client.enrolment.comparing import is_right
from client.policy import POLICY_FILE
from client.waiting_studies import DECLINED, WAITING
from common.consortium.members import FILE as MEMBERS
from common.errors import StudyError, WardroundError
from experiments.approving.agreement import agree, show_json
from experiments.approving.kept import refuse
from experiments.pages.answers import Streams, fault_page, new_app, private_document
from experiments.pages.asgi import ASGIApp
from experiments.pages.gate import Gate
from experiments.pages.hospital.checking import Checks
from experiments.pages.hospital.log_reading import LogReader
from experiments.pages.hospital.overview import node_of, overview
from experiments.pages.hospital.review import ANSWERED_ON_PAGE, review_page
from experiments.pages.hospital.studies import Known, study_called
from experiments.pages.keys import Keys
from experiments.pages.moment import stamps

WATCHED: tuple[str, ...] = ("log.jsonl", "log.seal.json", APPROVED, "approvals", WAITING, DECLINED, POLICY_FILE)
WATCHED += (MEMBERS, "compared.json", "keys", "models", "privacy-ledger.head", "privacy-limit.toml", "node.toml")


def node_app(folder: Path, keys: Keys, closing: Event) -> ASGIApp:
    """The application."""
    app, checks, streams, log = new_app(), Checks(folder), Streams(closing), LogReader(folder)

    @app.get("/", response_model=None)
    def page(request: Request, said: str = "") -> Response:
        return HTMLResponse(overview(node_of(log), _proof(request), SAID.get(said, "")))

    @app.get("/events", response_model=None)
    def events() -> Response:
        return streams.answer(lambda: f"{stamps(folder, WATCHED)} {checks.version()}")

    @app.get("/study/{digest}", response_model=None)
    def study(request: Request, digest: str) -> Response:
        known = study_called(folder, digest)
        if known is None:
            return _unknown()
        return HTMLResponse(review_page(known, folder, _proof(request), checks))

    @app.post("/study/{digest}/approve", response_model=None)
    def approve(request: Request, digest: str) -> Response:
        return _answered(request, digest, lambda known: _approve(known, _form(request)), "approved")

    @app.post("/study/{digest}/refuse", response_model=None)
    def decline(request: Request, digest: str) -> Response:
        return _answered(request, digest, lambda known: _refuse(known, _form(request)), "refused")

    @app.post("/study/{digest}/check", response_model=None)
    def check(request: Request, digest: str) -> Response:
        known = study_called(folder, digest)
        if known is None or not known.text:
            return _unknown()
        checks.begin(digest, known.text)
        return RedirectResponse(f"{request.scope['root_path']}/study/{digest}#data", 303)

    @app.get("/study/{digest}/data", response_model=None)
    def data(digest: str) -> Response:
        found = checks.pages.get(digest)
        return _unknown() if found is None else private_document(found)

    @app.post("/compare", response_model=None)
    def compare(request: Request) -> Response:
        form, node = _form(request), node_of(log)
        try:
            right = is_right(folder, node.site, form.get("member", ""), form.get("groups", ""))
        except WardroundError as error:
            return HTMLResponse(overview(node, _proof(request), str(error), "bad"), 400)
        if not right:
            return HTMLResponse(overview(node, _proof(request), WRONG_GROUPS, "bad"), 400)
        return RedirectResponse(f"{request.scope['root_path']}/?said=compared#members", 303)

    def _answered(request: Request, digest: str, act: Callable[[Known], None], said: str) -> Response:
        known = study_called(folder, digest)
        if known is None:
            return _unknown()
        try:
            act(known)
        except WardroundError as error:
            return HTMLResponse(review_page(known, folder, _proof(request), checks, str(error)), 400)
        return RedirectResponse(f"{request.scope['root_path']}/?said={said}", 303)

    def _approve(known: Known, form: dict[str, str]) -> None:
        if form.get("read") != "yes":
            raise StudyError("tick that you have read what it does and costs.")
        if not known.text:
            raise StudyError("nothing but its digest is kept here: it is approved from its file, wardround approve.")
        agree(show_json(known.text, folder), folder, ANSWERED_ON_PAGE)

    def _refuse(known: Known, form: dict[str, str]) -> None:
        refuse(known.digest, form.get("reason", ""), folder)

    return Gate(app, keys)


SAID = {
    "approved": "Approved. The node answers the study from its next message on.",
    "refused": "Refused. The coordinator is told that, and not why.",
    "compared": "The groups are the same. That is written down.",
}
WRONG_GROUPS = (
    "These are not the groups of that member's keys. Type them once more; if they still differ, its keys are not "
    "those that you were sent: tell the coordinator and that hospital, and do not go on."
)


def _unknown() -> Response:
    words = "It is neither waiting, nor approved, nor refused here."
    return HTMLResponse(fault_page("There is no such study here", words, "../"), 404)


def _proof(request: Request) -> str:
    return str(request.scope["state"]["session"].proof)


def _form(request: Request) -> dict[str, str]:
    return dict(request.scope["state"]["form"])

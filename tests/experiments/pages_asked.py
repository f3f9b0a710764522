"""Pages asked without a network: what a browser sends, and what it would not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from threading import Event
from typing import Any

import httpx

from client.approved_studies import digest_of
from client.waiting_studies import keep_waiting
from common.study.study import parse
from experiments.pages.keys import Keys

HOST = "127.0.0.1:4711"
STUDIES = Path(__file__).parents[2] / "experiments" / "studies"
HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'


class Asked:
    """One application with its keys. `enter` makes this a browser with a session."""

    def __init__(self, build: Any, *arguments: Any) -> None:
        self.keys, self.closing = Keys(), Event()
        self.app = build(*arguments, self.keys, self.closing)
        self.cookie = ""

    def send(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """As a browser would, where no headers say otherwise: on its own page, with its cookie."""
        own = {"host": HOST, "origin": f"http://{HOST}", "sec-fetch-site": "same-origin", "cookie": self.cookie}
        if method == "GET":
            del own["origin"]
        given = headers if isinstance(headers, list) else list({**own, **(headers or {})}.items())
        kept = [(name, value) for name, value in given if value != "-"]

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
                client.headers = httpx.Headers()
                return await client.request(method, path, data=form, content=content, headers=kept)

        return asyncio.run(ask())

    def enter(self) -> Asked:
        answer = self.send("POST", "/enter", {"key": self.keys.key})
        assert answer.status_code == 303
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return self

    def get(self, path: str = "", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("GET", f"/{self.keys.room}/{path}", headers=named)

    def post(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", f"/{self.keys.room}/{path}", {"proof": self.proof, **(form or {})}, named)

    @property
    def proof(self) -> str:
        session = self.keys.session_of(self.cookie.partition("=")[2])
        return "" if session is None else session.proof


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


def elements(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """Every element of a page and the names of its attributes, in order."""
    parser = _Elements()
    parser.feed(page)
    return parser.found


def heart(*overrides: str) -> str:
    """A study as it travels."""
    return parse((STUDIES / "heart.toml").read_text(), ["aggregation=secagg", *overrides]).json


def new_hospital(folder: Path, *studies: str) -> list[str]:
    """A hospital's folder in which studies wait; their digests."""
    folder.mkdir()
    (folder / "node.toml").write_text('site = "north"\ncoordinator = "https://fed.example.org:8443"\n')
    for study in studies:
        assert keep_waiting(study, folder)
    return [digest_of(study) for study in studies]


def write_live(folder: Path, at: float, **sites: Mapping[str, Any]) -> None:
    """`live.json` of a run that is in its third round."""
    table = {"version": 1, "at": at, "phase": "training", "stage": "", "round": 3, "rounds": 24, "begun": at - 60}
    (folder / "live.json").write_text(json.dumps({**table, "since": at - 5, "sites": sites}))

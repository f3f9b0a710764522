"""What every request passes before a page sees it: where it was sent to, who sends it, from which page.

A page on this machine can be reached by every site that its user visits, so nothing is taken on trust: the Host
header must be this machine's (a name that an attacker turns to 127.0.0.1 is not), a request comes from our own pages
or from the address line, a form brings its session's proof, and no answer may be framed, kept or read elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from experiments.pages.asgi import ASGIApp, Message, Receive, Scope, Send
from experiments.pages.entry import entry_page
from experiments.pages.keys import Keys, Session, is_proof
from experiments.pages.sheet import policy

HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
COOKIE, PROOF = "wardround", "proof"
LARGEST_FORM_BYTES, MOST_FIELDS = 1 << 16, 64
FORM = "application/x-www-form-urlencoded"
HEADERS = {
    "cache-control": "no-store",
    # With no-referrer a browser says of our own forms, too, that their origin is null; others are told as little.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Gate:
    """An ASGI application before another one, handed `session` and, of a POST, `form` in its state."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection. Of kinds other than HTTP none is served."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._admit(scope, receive, answer)
        except Refusal as refusal:
            await answer.text(refusal.status, f"{refusal}\n")

    async def _admit(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = _headers(scope)
        method, path = scope["method"], scope["path"]
        _demand_host(headers)
        if method not in ("GET", "HEAD", "POST"):
            raise Refusal(405, "This page answers GET and POST only.")
        if method == "POST":
            _demand_own_page(headers)
            form = await _form(headers, receive)
            if path == "/enter":
                await self._enter(form, answer)
                return
        session = self._session(headers)
        root = f"/{self._keys.room}"
        if session is None or not path.startswith(f"{root}/"):
            await self._outside(method, path, answer)
            return
        if method == "POST" and not is_proof(session, form.pop(PROOF, "")):
            raise Refusal(403, "This form is not of this session: load its page again.")
        if method != "POST" and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise Refusal(403, "Another site asked for this; open the page from its own link.")
        state = {"session": session, **({"form": form} if method == "POST" else {})}
        await self._app({**scope, "root_path": root, "state": {**scope.get("state", {}), **state}}, receive, answer)

    def _session(self, headers: Mapping[str, str]) -> Session | None:
        """Other programs of this machine set cookies too, for us to get: with our name, and in forms of their own."""
        pairs = (pair.partition("=") for pair in headers.get("cookie", "").split(";"))
        given = (self._keys.session_of(value.strip()) for name, _, value in pairs if name.strip() == COOKIE)
        return next((session for session in given if session is not None), None)

    async def _outside(self, method: str, path: str, answer: _Answer) -> None:
        """Whoever has no session is told how to get one, at any address that a browser may have kept."""
        if method == "POST":
            raise Refusal(403, "No session: open the page by the link that its program printed.")
        await answer.page(200 if path == "/" else 403, entry_page())

    async def _enter(self, form: Mapping[str, str], answer: _Answer) -> None:
        session = self._keys.enter(form.get("key", ""))
        if session is not None:
            root = f"/{self._keys.room}/"
            cookie = f"{COOKIE}={session.cookie}; Path={root}; HttpOnly; SameSite=Strict"
            await answer.text(303, "", {"location": root, "set-cookie": cookie})
        elif self._keys.is_closed:
            await answer.page(
                429, entry_page("That is not the key, and many wrong ones came of late: somebody seems to guess.")
            )
        else:
            await answer.page(
                403, entry_page("That is not the key of this page. Each start of its program has another.")
            )


class Refusal(Exception):  # noqa: N818 - an answer, and not a defect
    """Why a request is not served, in words, and the status that says so."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class _Answer:
    """`send`, with our headers on whatever goes out; a page may set another policy of content."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {key.lower() for key, _ in message["headers"]}
            more = {**HEADERS, "content-security-policy": policy()}
            added = [(key.encode(), value.encode()) for key, value in more.items() if key.encode() not in own]
            message = {**message, "headers": [*message["headers"], *added]}
        await self._send(message)

    async def page(self, status: int, html: str) -> None:
        await self.text(status, html, {"content-type": "text/html; charset=utf-8"})

    async def text(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        body = text.encode()
        kept = {"content-type": "text/plain; charset=utf-8", **(headers or {}), "content-length": str(len(body))}
        listed = [(key.encode(), value.encode()) for key, value in kept.items()]
        await self({"type": "http.response.start", "status": status, "headers": listed})
        await self({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> dict[str, str]:
    """By name. One that stands twice is refused where it decides anything."""
    found: dict[str, str] = {}
    for raw_key, raw_value in scope["headers"]:
        key, value = raw_key.decode("latin-1").lower(), raw_value.decode("latin-1")
        if key in found and key in ("host", "origin", "sec-fetch-site", "content-type", "content-length"):
            raise Refusal(400, f"The header {key} stands twice.")
        found[key] = f"{found[key]}; {value}" if key in found else value
    return found


def _demand_host(headers: Mapping[str, str]) -> None:
    if not HOST.fullmatch(headers.get("host", "")):
        raise Refusal(421, "This page is served as 127.0.0.1 or localhost only.")


def _demand_own_page(headers: Mapping[str, str]) -> None:
    """A browser says which page a form stands on; what says neither is no browser, and has the proof to show."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or (origin is not None and origin.lower() != f"http://{headers['host']}".lower()):
        raise Refusal(403, "This form stands on another page than ours.")


async def _form(headers: Mapping[str, str], receive: Receive) -> dict[str, str]:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refusal(415, f"A form is sent as {FORM}.")
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(400, "The form did not arrive whole.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_FORM_BYTES:
            raise Refusal(413, f"A form holds {LARGEST_FORM_BYTES} bytes at most.")
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Refusal(400, "That is no form.") from None

"""The pages in a real browser: clicks that count, other sites that get nowhere, pages that follow, narrow screens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import time
from typing import Any

import pytest

from experiments.coordinator.job_queue import JobQueue, Standing
from experiments.pages.coordinator.server_app import server_app
from experiments.pages.hospital.node_app import node_app
from experiments.pages.keys import Keys
from experiments.pages.serving import link, listening, served
from experiments.pages.watching import watch_app
from tests.experiments.chromium import Browser, browser, is_installed
from tests.experiments.pages_asked import HOSTILE, heart, new_hospital, write_live
from tests.server.sample_run import write_sample

pytestmark = pytest.mark.skipif(not is_installed(), reason="needs chromium, which is not installed here")


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as found:
        yield found


@contextmanager
def page_of(build: Callable[..., Any], folder: Path) -> Iterator[tuple[str, Keys]]:
    """Its link, while it is served."""
    keys, closing = Keys(), Event()
    with listening(0) as place, served(build(folder, keys, closing), place, closing):
        yield link(place, keys), keys


@contextmanager
def evil_site(page: str) -> Iterator[int]:
    """Another site on this machine; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def enter(window: Browser, address: str, heading: str) -> None:
    window.open(address)
    window.wait(f"document.querySelector('h1')?.textContent === {json.dumps(heading)}")


@pytest.fixture
def hospital(tmp_path: Path) -> tuple[Path, str]:
    (digest,) = new_hospital(tmp_path / "north", heart(f"title={HOSTILE!r}"))
    return tmp_path / "north", digest


def test_the_link_opens_the_page_and_its_key_leaves_the_address(window: Browser, hospital: tuple[Path, str]) -> None:
    with page_of(node_app, hospital[0]) as (address, keys):
        enter(window, address, "north")
        assert window.evaluate("location.href") == f"{address.partition('#')[0]}{keys.room}/"
        assert window.evaluate("document.cookie") == ""
        assert window.evaluate("document.referrer") == address.partition("#")[0]
        window.wait("document.getElementById('connection').textContent === 'follows what happens'")


def test_a_study_is_approved_by_clicks_and_its_title_is_no_markup(
    window: Browser, hospital: tuple[Path, str]
) -> None:
    folder, digest = hospital
    with page_of(node_app, folder) as (address, _):
        enter(window, address, "north")
        window.evaluate("window.alert = () => { document.title = 'alerted'; }")
        window.click(".todo a")
        window.wait("document.getElementById('approve')")
        assert window.evaluate("document.querySelector('h1').textContent") == HOSTILE
        window.click("#approve")  # not before it is ticked that it was read
        assert not (folder / "approved-studies.txt").exists()
        window.click("input[name=read]")
        window.click("#approve")
        window.wait("document.body.innerText.includes('Nothing waits')")
        assert (folder / "approved-studies.txt").read_text().startswith(digest)
        assert window.evaluate("document.title") != "alerted"


def test_another_sites_form_and_script_do_not_get_through(window: Browser, hospital: tuple[Path, str]) -> None:
    """It even knows the room and the digest, and stands on this very machine, where cookies know no ports."""
    folder, digest = hospital
    with page_of(node_app, folder) as (address, keys):
        enter(window, address, "north")
        room = f"{address.partition('#')[0]}{keys.room}/"
        target = f"{room}study/{digest}/approve"
        page = f"""<form id=f method=post action="{target}">
        <input name=read value=yes><input name=proof value=x></form>
        <img id=i src="{room}"><iframe id=frame src="{room}"></iframe><script>
        const body = new URLSearchParams({{ read: "yes", proof: "x" }});
        window.tried = Promise.allSettled([
          fetch("{target}", {{ method: "POST", body, credentials: "include", mode: "no-cors" }}),
          fetch("{target}", {{ method: "POST", body, credentials: "include" }}).then((a) => a.text()),
          fetch("{room}", {{ credentials: "include" }}).then((a) => a.text()),
        ]).then((all) => all.map((one) => one.status + (one.value && one.value.length ? one.value : "")));
        </script>"""
        with evil_site(page) as port:
            for host in ("127.0.0.1", "localhost"):
                window.open(f"http://{host}:{port}/")
                window.wait(f"location.host === '{host}:{port}' && window.tried")
                assert window.evaluate("window.tried") == ["rejected"] * 3
                window.evaluate("document.getElementById('f').submit()")
                window.wait("document.body.innerText.includes('another page than ours')")
        assert not (folder / "approved-studies.txt").exists()
        assert (folder / "waiting" / f"{digest}.json").exists()


def test_a_job_is_stopped_by_clicks(window: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "coordinator"
    (folder / "node-keys").mkdir(parents=True)
    (folder / "node-keys" / "north.pub").write_text("x")
    queue = JobQueue(folder)
    run = write_sample(tmp_path / "run", rounds=2, pictures=False, state="running")
    job = queue.submit("heart", "rounds = 24\n", run)
    queue.keep(job, Standing("running", "1", ("2026-11-27T01:00:00",)))
    with page_of(server_app, folder) as (address, _):
        enter(window, address, "coordinator")
        window.click(".todo a")
        window.click("#open-stop")
        window.wait("document.querySelector('details[open] #stop')")
        assert not queue.is_to_stop(job)
        window.click("#stop")
        window.wait("document.body.innerText.includes('It is being stopped.')")
        assert queue.is_to_stop(job)


def test_a_page_follows_its_run_keeps_what_is_unfolded_and_says_when_it_is_cut_off(
    window: Browser, tmp_path: Path
) -> None:
    folder = write_sample(tmp_path / "run", rounds=3, pictures=False, state="running")
    records = (folder / "rounds.jsonl").read_text().splitlines(keepends=True)
    (folder / "rounds.jsonl").write_text("".join(records[:2]))
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps(about | {"rounds_done": 2}))
    write_live(folder, time(), Aarhus={"state": "asked", "since": time()})
    with page_of(watch_app, folder) as (address, _):
        enter(window, address, about["title"])
        window.wait("document.getElementById('connection').className === 'on'")
        window.evaluate("document.querySelector('#scores details').open = true")
        assert "2 of 24" in window.text()
        (folder / "rounds.jsonl").write_text("")
        window.wait("!document.querySelector('#scores details')")
        (folder / "rounds.jsonl").write_text("".join(records))
        (folder / "about.json").write_text(json.dumps(about | {"rounds_done": 3}))
        window.wait("document.querySelector('.tile b').textContent === '3 of 24'")
        window.wait("document.querySelector('#scores details')")
        assert window.evaluate("document.querySelector('#scores details').open")
    window.wait("document.getElementById('connection').className === 'off'")
    assert "not connected since" in window.text()


def test_every_page_fits_a_narrow_screen(window: Browser, hospital: tuple[Path, str], tmp_path: Path) -> None:
    folder, digest = hospital
    run = write_sample(tmp_path / "run", rounds=3, pictures=False)
    window.call("Emulation.setDeviceMetricsOverride", width=400, height=900, deviceScaleFactor=1, mobile=False)
    try:
        with page_of(node_app, folder) as (address, keys), page_of(watch_app, run) as (watched, _):
            enter(window, address, "north")
            assert window.evaluate("document.documentElement.scrollWidth") == 400
            window.open(f"{address.partition('#')[0]}{keys.room}/study/{digest}")
            window.wait("document.getElementById('approve')")
            assert window.evaluate("document.documentElement.scrollWidth") == 400
            enter(window, watched, "Brain tissue in five scanners")
            assert window.evaluate("document.documentElement.scrollWidth") == 400
    finally:
        window.call("Emulation.clearDeviceMetricsOverride")


def test_without_scripts_the_key_is_pasted_and_the_page_read(window: Browser, hospital: tuple[Path, str]) -> None:
    folder, digest = hospital
    window.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        with page_of(node_app, folder) as (address, keys):
            window.open(address.partition("#")[0])
            window.click("#key")
            window.call("Input.insertText", text=keys.key)
            window.click("button")
            window.click(".todo a")
            window.click("input[name=read]")
            window.click("#approve")
            window.wait("document.body.innerText.includes('Nothing waits')")
            assert (folder / "approved-studies.txt").read_text().startswith(digest)
    finally:
        window.call("Emulation.setScriptExecutionDisabled", value=False)

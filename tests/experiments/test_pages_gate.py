"""Who gets in, from where, and what no other site can do: the gate before every page."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from common.errors import EngineError, StudyError
from experiments.pages.hospital.node_app import node_app
from experiments.pages.keys import MOST_WRONG_KEYS, Keys
from experiments.pages.serving import link, listening
from experiments.pages.watching import watch_app
from tests.experiments.pages_asked import HOST, Asked, heart, new_hospital
from tests.server.sample_run import write_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("run") / "run", rounds=2, pictures=False)


@pytest.fixture
def watch(folder: Path) -> Asked:
    return Asked(watch_app, folder)


def test_without_a_session_every_address_shows_the_entry_and_nothing_of_a_run(watch: Asked) -> None:
    for path in (
        "/",
        "/report",
        f"/{watch.keys.room}/",
        f"/{watch.keys.room}/report",
        "/docs",
        "/openapi.json",
        "//",
    ):
        answer = watch.send("GET", path)
        assert "This page needs its key" in answer.text
        assert "Aarhus" not in answer.text


def test_the_right_key_opens_a_session_that_scripts_and_other_sites_do_not_get(watch: Asked) -> None:
    answer = watch.send("POST", "/enter", {"key": f" {watch.keys.key}\n"})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/{watch.keys.room}/"
    cookie = answer.headers["set-cookie"]
    assert cookie.endswith(f"; Path=/{watch.keys.room}/; HttpOnly; SameSite=Strict")
    assert watch.keys.key not in cookie


def test_with_a_session_the_run_is_shown(watch: Asked) -> None:
    answer = watch.enter().get()
    assert answer.status_code == 200
    assert "Aarhus" in answer.text


def test_a_cookie_of_another_start_opens_nothing(watch: Asked, folder: Path) -> None:
    other = Asked(watch_app, folder).enter()
    assert "This page needs its key" in watch.get(cookie=other.cookie).text


@pytest.mark.parametrize("cookie", ["wardround=", "wardround=x", 'wardround="\\', ";;;", "wardround=a; wardround=b"])
def test_a_broken_cookie_is_no_session(watch: Asked, cookie: str) -> None:
    assert "This page needs its key" in watch.get(cookie=cookie).text


def test_a_wrong_key_is_told_and_opens_nothing(watch: Asked) -> None:
    answer = watch.send("POST", "/enter", {"key": watch.keys.key[:-1]})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "not the key" in answer.text


def test_many_wrong_keys_are_noticed_for_a_minute_and_keep_nobody_with_the_right_one_out() -> None:
    now = [100.0]
    keys = Keys(clock=lambda: now[0])
    before = keys.enter(keys.key)
    assert before is not None
    for _ in range(MOST_WRONG_KEYS):
        assert keys.enter("guess") is None
    assert keys.is_closed and keys.enter(keys.key) is not None
    assert keys.session_of(before.cookie) == before
    now[0] += 60.5
    assert not keys.is_closed


def test_too_many_wrong_keys_are_answered_with_429(watch: Asked) -> None:
    codes = [watch.send("POST", "/enter", {"key": "ä"}).status_code for _ in range(MOST_WRONG_KEYS + 1)]
    assert codes == [403] * (MOST_WRONG_KEYS - 1) + [429, 429]


def test_another_sites_form_does_not_even_count_as_a_wrong_key(watch: Asked) -> None:
    for _ in range(2 * MOST_WRONG_KEYS):
        assert watch.send("POST", "/enter", {"key": "x"}, {"origin": "http://evil.example"}).status_code == 403
    assert not watch.keys.is_closed


def test_the_oldest_of_many_sessions_ends() -> None:
    keys = Keys()
    sessions = [keys.enter(keys.key) for _ in range(40)]
    assert [one for one in sessions if one and keys.session_of(one.cookie)] == sessions[-32:]


GOOD_HOSTS = [HOST, "127.0.0.1", "localhost:4711", "LOCALHOST", "[::1]:9", "localhost:65535"]
BAD_HOSTS = [
    "evil.example",
    "127.0.0.1.evil.example",
    "evil.example:4711",
    "127.0.0.1:4711@evil.example",
    "127.0.0.2",
]
BAD_HOSTS += ["localhost.", "0.0.0.0:4711", "127.0.0.1:", "127.0.0.1:123456", "a.localhost", "127.1", " "]


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_this_machine_has_these_names(watch: Asked, host: str) -> None:
    assert watch.enter().get(host=host).status_code == 200


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_name_that_somebody_turned_to_this_machine_is_not_served(watch: Asked, host: str) -> None:
    answer = watch.enter().get(host=host)
    assert answer.status_code == 421
    assert "Aarhus" not in answer.text


def test_two_hosts_are_refused(watch: Asked) -> None:
    assert watch.send("GET", "/", headers=[("host", HOST), ("host", "evil.example")]).status_code == 400


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense", ""])
def test_what_another_site_loads_is_refused_though_the_browser_sent_the_cookie(watch: Asked, site: str) -> None:
    answer = watch.enter().get(sec_fetch_site=site)
    assert answer.status_code == 403
    assert "Aarhus" not in answer.text


def test_the_address_line_and_a_browser_that_says_nothing_are_served(watch: Asked) -> None:
    watch.enter()
    assert watch.get(sec_fetch_site="none").status_code == 200
    assert watch.get(sec_fetch_site="-").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_refused(watch: Asked, method: str) -> None:
    answer = watch.enter().send(method, f"/{watch.keys.room}/")
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_answer_forbids_frames_keeping_and_foreign_content(watch: Asked) -> None:
    outside = [watch.send("GET", "/"), watch.send("GET", "/", headers={"host": "evil.example"})]
    outside += [watch.send("POST", "/enter", {"key": "no"}), watch.send("PUT", "/")]
    watch.enter()
    for answer in [*outside, watch.get(), watch.get("nowhere"), watch.get("report"), watch.get("audit")]:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


def test_a_report_in_a_run_folder_of_anybodys_acts_as_nobody(watch: Asked, folder: Path) -> None:
    (folder / "report.html").write_text("<script>fetch('/')</script>")
    answer = watch.enter().get("report")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts allow-downloads;")
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy
    assert "form-action 'none'" in policy


def test_a_report_that_is_a_link_out_of_the_folder_is_not_followed(watch: Asked, folder: Path) -> None:
    (folder / "audit.html").symlink_to("/etc/hostname")
    answer = watch.enter().get("audit")
    assert answer.status_code == 404
    (folder / "audit.html").unlink()


def test_a_web_socket_is_closed(watch: Asked) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(watch.app({"type": "websocket", "path": "/", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "8.8.8.8"])
def test_the_pages_listen_on_this_machine_alone(host: str) -> None:
    with pytest.raises(StudyError, match="this machine alone"), listening(0, host):
        pass


def test_a_port_that_is_taken_is_told() -> None:
    with listening(0) as place, pytest.raises(EngineError, match="cannot be had"), listening(place.getsockname()[1]):
        pass


def test_the_links_key_is_where_no_server_and_no_log_sees_it() -> None:
    keys = Keys()
    with listening(0) as place:
        address, _, key = link(place, keys).partition("#")
    assert key == keys.key
    assert keys.key not in address
    assert len(key) >= 43


# Forms: the folder of a hospital is what another site would change.


@pytest.fixture
def hospital(tmp_path: Path) -> tuple[Asked, Path, str]:
    digest, *_ = new_hospital(tmp_path / "north", heart())
    return Asked(node_app, tmp_path / "north").enter(), tmp_path / "north", digest


READ = {"read": "yes"}
FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": f"https://{HOST}"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "http://localhost:4711"},
    {"origin": ""},
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "none"},
    {"origin": "-", "sec_fetch_site": "cross-site"},
    {"content_type": "text/plain"},
    {"content_type": "multipart/form-data; boundary=x"},
    {"content_type": "application/json"},
    {"host": "evil.example", "origin": "http://evil.example"},
    {"cookie": "-"},
    {"cookie": "wardround=guess"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_form_of_another_page_changes_nothing(hospital: tuple[Asked, Path, str], headers: dict[str, str]) -> None:
    node, folder, digest = hospital
    answer = node.post(f"study/{digest}/approve", READ, **headers)
    assert answer.status_code in (403, 415, 421)
    assert not (folder / "approved-studies.txt").exists()
    assert (folder / "waiting" / f"{digest}.json").exists()


def test_a_form_without_its_sessions_proof_changes_nothing(hospital: tuple[Asked, Path, str]) -> None:
    node, folder, digest = hospital
    other = node.keys.enter(node.keys.key)
    assert other is not None
    for proof in ("", "x", node.proof[:-1], node.proof + "x", other.proof, node.keys.key, "ä"):
        assert node.post(f"study/{digest}/approve", {**READ, "proof": proof}).status_code == 403
    assert not (folder / "approved-studies.txt").exists()


def test_a_form_that_is_too_large_or_none_is_refused(hospital: tuple[Asked, Path, str]) -> None:
    node, _, digest = hospital
    where = f"/{node.keys.room}/study/{digest}/refuse"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert node.send("POST", where, headers=kind, content=b"reason=" + b"x" * 70_000).status_code == 413
    assert node.send("POST", where, headers=kind, content=b"&".join([b"a=b"] * 100)).status_code == 400
    assert node.send("POST", where, headers=kind, content=b"reason=\xff\xfe").status_code == 400


def test_the_same_form_of_its_own_page_is_taken(hospital: tuple[Asked, Path, str]) -> None:
    node, folder, digest = hospital
    answer = node.post(f"study/{digest}/approve", READ)
    assert answer.status_code == 303
    assert digest in (folder / "approved-studies.txt").read_text()

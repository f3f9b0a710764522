"""What the pages show and do: a run as it goes, a hospital's studies and records, a coordinator's jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.audit_log import note
from client.waiting_studies import declined
from experiments.coordinator.job_queue import JobQueue, Standing
from experiments.pages.answers import MOST_STREAMS, Streams
from experiments.pages.coordinator.server_app import server_app
from experiments.pages.hospital.node_app import node_app
from experiments.pages.moment import SILENT_AFTER_S, Followed, Live, Moment, Site
from experiments.pages.run_page import run_page
from experiments.pages.watching import watch_app
from server.reporting.records import About, Run
from tests.experiments.pages_asked import HOSTILE, Asked, elements, heart, new_hospital, write_live
from tests.server.sample_run import write_sample

# A run as it goes


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """Two rounds of five hospitals are done, each took some seconds; the third is under way."""
    return write_sample(tmp_path / "run", rounds=2, pictures=False, state="running")


def usual_s(folder: Path, site: str) -> float:
    return Followed(folder).moment().usual_s(site) or 0.0


def test_a_run_under_way_says_who_replied_and_who_is_late(running: Path) -> None:
    now, usual = time(), usual_s(running, "Bergen")
    write_live(
        running,
        now,
        Aarhus={"state": "replied", "since": now - 2, "seconds": 3.0, "bytes": 1000},
        Bergen={"state": "asked", "since": now - 2 * usual - 11},
        Coimbra={"state": "asked", "since": now - 1},
        Dresden={"state": "dropped", "since": now - 1, "reason": "no reply within 600 s"},
        Eindhoven={"state": "idle", "since": now - 5},
    )
    page = run_page(Followed(running).moment())
    assert "Round 3 of 24. 1 of 4 hospitals replied; late: Bergen." in page
    assert "no reply within 600 s" in page
    assert "not drawn this round" in page
    assert page.index(">Bergen<") < page.index(">Coimbra<")  # whoever is in trouble stands above


def test_a_hospital_is_late_from_twice_its_usual_time_on(running: Path) -> None:
    now, usual = time(), usual_s(running, "Bergen")
    limit = max(10.0, 2 * usual)
    for waited, late in ((limit - 1, False), (limit + 1, True)):
        write_live(running, now, Bergen={"state": "asked", "since": now - waited})
        assert Followed(running).moment().is_late("Bergen") is late


def test_a_run_whose_program_gives_no_sign_of_life_is_not_called_running(running: Path) -> None:
    write_live(running, time() - SILENT_AFTER_S - 5, Bergen={"state": "asked", "since": time() - 100})
    page = run_page(Followed(running).moment())
    assert "No sign of life" in page
    assert "wardround resume" in page
    assert "✓ Running" not in page


def test_a_run_that_stopped_says_why_and_how_it_goes_on(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "run", rounds=2, pictures=False, state="stopped", reason="Bergen was lost.")
    page = run_page(Followed(folder).moment())
    assert "Bergen was lost." in page
    assert f"wardround resume {folder}" in page


def test_before_the_first_round_it_says_who_is_missing(tmp_path: Path) -> None:
    (tmp_path / "about.json").write_text(
        json.dumps({"state": "running", "sites_expected": ["Aarhus", "Bergen"], "hospitals_expected": 2})
    )
    (tmp_path / "study.toml").write_text("rounds = 5\n")
    now = time()
    (tmp_path / "live.json").write_text(
        json.dumps({"at": now, "phase": "starting", "sites": {"Aarhus": {"state": "waiting", "since": now}}})
    )
    assert "1 of 2 are there, still missing: Bergen" in run_page(Followed(tmp_path).moment())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"x"', '{"at": "soon"}', '{"at": NaN}', "[" * 100_000, '{"at": 1, "sites": 7}']
)
def test_a_damaged_live_file_costs_only_itself(running: Path, text: str) -> None:
    (running / "live.json").write_text(text)
    assert "Aarhus" in run_page(Followed(running).moment())


def test_a_damaged_record_is_told_in_a_line(running: Path) -> None:
    (running / "about.json").write_text("{")
    answer = Asked(watch_app, running).enter().get()
    assert answer.status_code == 200
    assert "about.json is not valid JSON" in answer.text


def test_what_is_no_run_folder_is_told_by_the_command_and_by_the_page(
    tmp_path: Path, wardround: Callable[..., tuple[int, str]]
) -> None:
    code, said = wardround("watch", str(tmp_path))
    assert code == 1
    assert "is no run folder" in said
    assert wardround("watch", str(tmp_path / "absent"))[0] == 1
    answer = Asked(watch_app, tmp_path).enter().get()
    assert answer.status_code == 500
    assert "is no run folder" in answer.text


def test_a_page_changes_when_its_folder_does(running: Path) -> None:
    followed = Followed(running)
    before = followed.version()
    assert followed.version() == before
    with (running / "rounds.jsonl").open("a") as file:
        file.write("\n")
    assert followed.version() != before


def test_a_stream_says_that_something_changed_and_ends_with_the_program() -> None:
    closing, version, sent = Event(), ["1"], list[str]()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message.get("body", b"").decode())
        if "there" in sent[-1]:
            version[0] = "2"
        if "changed" in sent[-1]:
            closing.set()

    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}}
    asyncio.run(Streams(closing).answer(lambda: version[0])(scope, receive, send))
    assert "data: changed\n\n" in sent


def test_only_so_many_streams_are_open_at_once() -> None:
    streams = Streams(Event())
    assert [streams.answer(str).status_code for _ in range(MOST_STREAMS + 1)] == [200] * MOST_STREAMS + [503]


# Whatever hospitals and studies say is text


def test_a_hostile_run_adds_no_element(tmp_path: Path) -> None:
    def page(words: str, name: str) -> str:
        folder = write_sample(tmp_path / name, ["Aarhus", words], rounds=2, pictures=False, state="running")
        about = json.loads((folder / "about.json").read_text())
        (folder / "about.json").write_text(json.dumps(about | {"title": words, "reason": words}))
        now = time()
        write_live(folder, now, **{words: {"state": "dropped", "since": now, "reason": words}})
        return run_page(Followed(folder).moment())

    assert elements(page(HOSTILE, "one")) == elements(page("x" * len(HOSTILE), "two"))


@settings(deadline=None, max_examples=15)
@given(words=st.text(min_size=1, max_size=60).filter(lambda text: text.strip()))
def test_no_word_whatsoever_adds_an_element(words: str) -> None:
    def page(text: str) -> str:
        live = Live(100.0, "training", text, 1, 0.0, 0.0, {text: Site("dropped", 99.0, text, 1.0, 1, text)})
        about = About(title=text, state="stopped", reason=text, ended_early=text, headline="dice")
        return run_page(Moment(Path("run"), Run(text, about, problems=(text,)), live, 101.0, 600.0))

    assert elements(page(words)) == elements(page("harmless"))


def test_a_hostile_study_adds_no_element_to_a_hospitals_pages(tmp_path: Path) -> None:
    found = []
    for name, words in (("one", HOSTILE), ("two", "harmless")):
        (digest,) = new_hospital(tmp_path / name, heart(f"title={words!r}", f"description={words!r}"))
        note(tmp_path / name, "refused", reason=words, leg=words, study=digest, run=words, round=1, bytes_out=1)
        node = Asked(node_app, tmp_path / name).enter()
        found.append([elements(node.get(path).text) for path in ("", f"study/{digest}")])
    assert found[0] == found[1]


# A hospital


@pytest.fixture
def hospital(tmp_path: Path) -> tuple[Asked, Path, list[str]]:
    folder = tmp_path / "north"
    digests = new_hospital(folder, heart(), heart("rounds=60"))
    return Asked(node_app, folder).enter(), folder, digests


def test_a_new_folder_says_that_nothing_waits(tmp_path: Path) -> None:
    new_hospital(tmp_path / "north")
    page = Asked(node_app, tmp_path / "north").enter().get().text
    assert "Nothing waits" in page
    assert "None asked, and none is approved." in page
    assert "cannot be shown" not in page


def test_a_study_waits_on_the_first_page_until_somebody_approves_it(
    hospital: tuple[Asked, Path, list[str]],
) -> None:
    node, folder, (digest, _) = hospital
    assert "2 studies to decide" in node.get().text
    assert node.post(f"study/{digest}/approve", {"read": "yes"}).headers["location"].endswith("/?said=approved")
    assert (folder / "approved-studies.txt").read_text().startswith(digest)
    assert not (folder / "waiting" / f"{digest}.json").exists()
    page = node.get("?said=approved").text
    assert "1 study to decide" in page
    assert "The node answers the study from its next message on." in page
    assert "study approved" in page  # in the log


def test_approval_needs_the_tick_that_it_was_read(hospital: tuple[Asked, Path, list[str]]) -> None:
    node, folder, (digest, _) = hospital
    answer = node.post(f"study/{digest}/approve")
    assert answer.status_code == 400
    assert "tick that you have read" in answer.text
    assert not (folder / "approved-studies.txt").exists()


def test_what_changed_since_the_last_approval_is_said_before_the_next(
    hospital: tuple[Asked, Path, list[str]],
) -> None:
    node, _, (first, second) = hospital
    node.post(f"study/{first}/approve", {"read": "yes"})
    page = node.get(f"study/{second}").text
    assert "rounds: before 15, now 60" in page


def test_a_refusal_keeps_its_reason_and_takes_an_approval_back(hospital: tuple[Asked, Path, list[str]]) -> None:
    node, folder, (digest, _) = hospital
    node.post(f"study/{digest}/approve", {"read": "yes"})
    assert node.post(f"study/{digest}/refuse", {"reason": "the board said no <b>"}).status_code == 303
    said = declined(digest, folder)
    assert said is not None and said.reason == "the board said no <b>"
    assert digest not in (folder / "approved-studies.txt").read_text()
    assert "the board said no &lt;b&gt;" in node.get().text


def test_a_refusal_without_a_reason_is_not_taken(hospital: tuple[Asked, Path, list[str]]) -> None:
    node, folder, (digest, _) = hospital
    assert node.post(f"study/{digest}/refuse", {"reason": "  "}).status_code == 400
    assert declined(digest, folder) is None


def test_what_the_policy_forbids_cannot_be_approved(hospital: tuple[Asked, Path, list[str]]) -> None:
    node, folder, (digest, _) = hospital
    (folder / "policy.toml").write_text('tasks = ["segmentation"]\n')
    page = node.get(f"study/{digest}").text
    assert "This hospital&#x27;s policy forbids it" in page
    assert 'id="approve"' not in page
    assert node.post(f"study/{digest}/approve", {"read": "yes"}).status_code == 400
    assert not (folder / "approved-studies.txt").exists()


@pytest.mark.parametrize("digest", ["0" * 64, "x", "..%2f..%2fnode.toml", "<script>"])
def test_a_study_that_is_not_there_is_told(hospital: tuple[Asked, Path, list[str]], digest: str) -> None:
    node, _, _ = hospital
    assert node.get(f"study/{digest}").status_code == 404
    assert node.post(f"study/{digest}/approve", {"read": "yes"}).status_code == 404


def test_a_changed_log_is_told_above_everything_and_the_rest_is_shown(
    hospital: tuple[Asked, Path, list[str]],
) -> None:
    node, folder, (digest, _) = hospital
    node.post(f"study/{digest}/approve", {"read": "yes"})
    log = folder / "log.jsonl"
    log.write_text(log.read_text().replace('"event":"approved"', '"event":"refused"', 1))
    page = node.get().text
    assert "The log is not as it was written" in page
    assert "by " in page and "Heart disease in four hospitals" in page


def test_each_damaged_file_costs_its_own_part_alone(hospital: tuple[Asked, Path, list[str]]) -> None:
    node, folder, _ = hospital
    for name in ("policy.toml", "members.json", "privacy-ledger.sqlite", "log.seal.json", "node.toml"):
        (folder / name).write_text("{")
    (folder / "keys").mkdir()
    (folder / "keys" / "tls.crt").write_text("nothing")
    page = node.get().text
    assert page.count("This part cannot be shown.") >= 5
    assert "2 studies to decide" in page


def test_answers_are_counted_by_study_and_run(hospital: tuple[Asked, Path, list[str]]) -> None:
    node, folder, (digest, _) = hospital
    for number in (1, 2, 3, 5):
        note(folder, "answered", leg="round", study=digest, run="a" * 32, round=number, bytes_in=5, bytes_out=1000)
    note(
        folder, "refused", leg="round", study=digest, run="a" * 32, round=6, reason="budget", bytes_in=5, bytes_out=9
    )
    page = node.get().text
    assert "4, of 1 to 5" in page
    assert "4.0\u00a0kB" in page
    assert "its own limit of privacy spending forbids it" in page


# A coordinator


@pytest.fixture
def coordinator(tmp_path: Path) -> tuple[Asked, JobQueue]:
    folder = tmp_path / "coordinator"
    (folder / "node-keys").mkdir(parents=True)
    (folder / "node-keys" / "north.pub").write_text("x")
    run = write_sample(tmp_path / "run", rounds=2, pictures=False, state="running")
    queue = JobQueue(folder)
    job = queue.submit("heart", 'title = "x"\nrounds = 24\n', run)
    queue.keep(job, Standing("running", "1", ("2026-11-27T01:00:00",)))
    return Asked(server_app, folder).enter(), queue


def test_jobs_nodes_and_programs_are_shown(coordinator: tuple[Asked, JobQueue]) -> None:
    server, _ = coordinator
    page = server.get().text
    assert "1 job under way, 0 waiting." in page
    assert "Job 1, heart" in page
    server.closing.set()


def test_a_job_is_stopped_and_gone_on_with(coordinator: tuple[Asked, JobQueue]) -> None:
    server, queue = coordinator
    job = queue.job("1")
    assert "Stop it now" in server.get("job/000001").text
    assert server.post("job/000001/stop").status_code == 303
    assert queue.is_to_stop(job)
    assert "It is being stopped." in server.get("job/000001").text
    queue.keep(job, Standing("stopped", "1", ("2026-11-27T01:00:00",), "somebody stopped it", 1))
    assert "Go on with it" in server.get("job/000001").text
    answer = server.post("job/000001/resume", {"accepts": "yes"})
    assert answer.headers["location"].endswith("/job/000002")
    again = queue.job("2")
    assert (again.resume, again.accepts_changed_data, again.folder) == (True, True, job.folder)
    assert server.post("job/000001/stop").status_code == 400
    server.closing.set()


def test_a_job_that_is_not_there_is_told(coordinator: tuple[Asked, JobQueue]) -> None:
    server, _ = coordinator
    assert server.get("job/7").status_code == 404
    assert server.post("job/..%2f7/stop").status_code == 404
    server.closing.set()


def test_a_damaged_job_is_told_in_a_line(coordinator: tuple[Asked, JobQueue], tmp_path: Path) -> None:
    server, _ = coordinator
    (tmp_path / "coordinator" / "queue" / "000001" / "job.json").write_text("{")
    answer = server.get()
    assert answer.status_code == 200
    assert "job.json" in answer.text
    server.closing.set()

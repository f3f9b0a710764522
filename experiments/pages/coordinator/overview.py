"""The first page of a coordinator: what runs, what waits, who is connected, what runs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any

from common.consortium.expiry import of_coordinator
from common.consortium.members import members_if_there
from common.errors import WardroundError
from experiments.coordinator.job_queue import RUNNING, WAITING, Job, Standing
from experiments.pages.coordinator.looked_at import LookedAt, Told
from experiments.pages.hospital.keys_and_members import certificates_section
from experiments.pages.moment import Followed, Moment
from experiments.pages.parts import part
from experiments.pages.run_page import finding
from experiments.pages.sheet import badge, banner, contents, document, heading, live
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.sections.layout import section
from server.reporting.wording import count, duration, listed

LOOKS = {"running": "good", "waiting": "note", "completed": "good", "stopped": "warn", "failed": "bad"}
MOST_JOBS = 40
Jobs = Sequence[tuple[Job, Standing]]


def overview(looked: LookedAt, said: str = "", look: str = "good") -> str:
    """The HTML. said: what came of the last form."""
    told, folder = looked.told(), looked.folder
    fault = ""
    try:
        jobs: Jobs = looked.jobs()
    except WardroundError as error:
        jobs, fault = [], str(error)
    name = _name(folder)
    main = tag(
        "main",
        banner(look, said) if said else None,
        live(
            "top",
            heading("Coordinator", _state(told), "events"),
            tag("h1", name),
            *(banner("bad", words) for words in _alarms(told, fault)),
            *(_running(job, standing) for job, standing in jobs if standing.state == RUNNING),
            tag("p", _lede(jobs, told), class_="finding") if not fault else None,
        ),
        contents(("Jobs", "jobs"), ("Nodes", "nodes"), ("Programs", "programs"), ("Certificates", "certificates")),
        part("jobs", "Jobs", lambda: _jobs(jobs, fault)),
        part("nodes", "Nodes", lambda: _nodes(told)),
        part("programs", "Programs", lambda: _programs(told, folder)),
        part("certificates", "Certificates", lambda: certificates_section(of_coordinator(folder))),
        tag("footer", "The coordinator's own folder ", tag("code", str(folder.resolve()))),
    )
    return document(f"{name}, Wardround coordinator", main)


def moment_of(job: Job) -> Moment | None:
    """The job's run as it goes; None before it has begun."""
    try:
        return Followed(Path(job.folder)).moment()
    except WardroundError:
        return None


def job_name(job: Job) -> str:
    """As everywhere."""
    return f"Job {int(job.id)}, {job.name}"


def job_badge(standing: Standing) -> Markup:
    """How a job stands."""
    return badge(LOOKS.get(standing.state, "warn"), standing.state)


def _name(folder: Path) -> str:
    try:
        listed_members = members_if_there(folder)
    except WardroundError:
        listed_members = None
    return folder.resolve().name if listed_members is None else listed_members.consortium


def _state(told: Told) -> Markup:
    if not told.at:
        return badge("note", "Looking")
    if told.found.get("up"):
        return badge("good", "Up")
    return badge("bad", "Not served" if not told.found.get("served") else "A program is down")


def _alarms(told: Told, fault: str) -> list[str]:
    found = [one for one in (fault, told.fault) if one]
    if told.at and not told.fault and not told.found.get("served"):
        found.append("Nothing is served: no hospital reaches this coordinator. Start it with: wardround server up.")
    down = [name for name, one in _table(told.found.get("programs")).items() if not _table(one).get("running")]
    if told.found.get("served") and down:
        found.append(f"Not running: {listed(down)}. Each is started again; link/NAME.log says why it ended.")
    return found


def _running(job: Job, standing: Standing) -> Markup:
    moment = moment_of(job)
    words = "It begins." if moment is None else finding(moment)
    again = f" It was begun {len(standing.attempts)} times." if len(standing.attempts) > 1 else ""
    link = tag("a", "Follow it, or stop it", href=f"job/{job.id}")
    return banner("todo", tag("p", tag("b", f"{job_name(job)}: "), f"{words}{again} ", link))


def _lede(jobs: Jobs, told: Told) -> str:
    waiting = sum(standing.state == WAITING for _, standing in jobs)
    running = sum(standing.state == RUNNING for _, standing in jobs)
    words = f"{count(running, 'job')} under way, {waiting} waiting."
    if not told.at or not told.found.get("up"):
        return words
    return f"{words} {_connected(told)}."


def _connected(told: Told) -> str:
    online = sum(_table(one).get("status") == "online" for one in told.found.get("nodes", []))
    return f"{online} of {count(len(told.found.get('members', [])), 'node')} connected"


def _jobs(jobs: Jobs, fault: str) -> Markup:
    if fault:
        return section("jobs", "Jobs", "The queue cannot be shown.", banner("bad", fault))
    if not jobs:
        lede = "None yet. Put a study into the queue with: "
        return section("jobs", "Jobs", lede, tag("p", tag("code", "wardround submit --folder FOLDER STUDY")))
    rows: list[list[Child]] = []
    for job, standing in jobs[:MOST_JOBS]:
        rows.append(
            [
                tag("a", job_name(job), href=f"job/{job.id}"),
                job_badge(standing),
                f"{standing.rounds_done}" if standing.rounds_done else "–",
                f"{len(standing.attempts)}",
                job.asked[:16].replace("T", " "),
                standing.reason or "",
            ]
        )
    lede = "One runs at a time, the others wait in their order. Each goes on by itself after any crash."
    more = f" Shown are the newest {MOST_JOBS} of {len(jobs)}." if len(jobs) > MOST_JOBS else ""
    head = ["Job", "State", "Rounds done", "Times begun", "Asked (UTC)", "Why"]
    return section("jobs", "Jobs", lede + more, table(head, rows, words=6))


def _nodes(told: Told) -> Markup:
    if not told.at:
        return section("nodes", "Nodes", "The SuperLink is being asked.")
    members = [str(one) for one in told.found.get("members", [])]
    if not members:
        lede = "No hospital's node key is in node-keys/: wardround consortium sign puts them there."
        return section("nodes", "Nodes", lede)
    status = {str(one.get("name")): str(one.get("status")) for one in map(_table, told.found.get("nodes", []))}
    rows: list[list[Child]] = [[name, _status(status.get(name, ""), told)] for name in members]
    others = [name for name in status if name and name not in members]
    rows += [[name, _status(status[name], told)] for name in others]
    lede = (
        f"{_connected(told)}, as the SuperLink said {duration(max(time() - told.at, 0.0))} before this page was made."
    )
    if not told.found.get("up"):
        lede = "Who is connected is not known while not all programs run."
    return section("nodes", "Nodes", lede, table(["Hospital", "Its node"], rows, words=2))


def _status(status: str, told: Told) -> Markup:
    if status == "online":
        return badge("good", "connected")
    if not told.found.get("up"):
        return badge("note", "not known")
    return badge("bad", "not connected") if status else badge("warn", "never seen")


def _programs(told: Told, folder: Path) -> Markup:
    programs = _table(told.found.get("programs"))
    if not programs:
        lede = "None is running. wardround server up starts all of them, and each again whenever it ends."
        return section("programs", "Programs", lede)
    rows: list[list[Child]] = [
        [
            name,
            badge("good", "running") if _table(one).get("running") else badge("bad", "not running"),
            f"{_table(one).get('restarts', 0)}",
            tag("code", str(folder / "link" / f"{name}.log")),
        ]
        for name, one in programs.items()
    ]
    front = _table(told.found.get("front"))
    where = (
        f" The front listens on {front.get('host') or 'every address'}, port {front.get('port')}." if front else ""
    )
    head = ["Program", "State", "Started again", "Its log"]
    return section("programs", "Programs", f"Each is kept running.{where}", table(head, rows, words=4))


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

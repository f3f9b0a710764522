"""What `wardround status` says: programs, nodes, jobs, rounds, and which hospitals are late."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import EngineError, FileError
from common.files.access import is_there, names
from common.files.json_files import read_lines, readable_table
from common.files.locks import is_held
from experiments.coordinator.attempts import rounds_done
from experiments.coordinator.job_queue import Job, JobQueue, Standing
from experiments.coordinator.node_keys import names_of_nodes
from experiments.coordinator.settings import FRONT_LISTENING, LINK, SERVING, SUPERVISOR, demand_coordinator
from experiments.coordinator.supervision import is_of
from experiments.engines._flower_commands import FEDERATION, FlowerCommands
from experiments.engines._run_secrets import secrets_in
from server.coordinator_folder import NODE_KEYS

LIVE = "live.json"
MOST_SHOWN = 20
QUICK_COMMAND_S = 30.0


def standing_of(folder: Path) -> dict[str, Any]:
    """For JSON. up: whether the supervisor and every program it keeps are running."""
    demand_coordinator(folder)
    folder = folder.resolve()
    known = readable_table(folder, SUPERVISOR)
    programs = {
        name: {"running": is_of(one.get("pid"), folder), "restarts": one.get("restarts", 0)}
        for name, one in _tables(known.get("programs")).items()
    }
    is_served = bool(known) and is_held(folder, SERVING)
    up = is_served and bool(programs) and all(one["running"] for one in programs.values())
    queue = JobQueue(folder)
    return {
        "up": up,
        "served": is_served,
        "programs": programs,
        "front": readable_table(folder, FRONT_LISTENING) if programs.get("front", {}).get("running") else {},
        "members": sorted(one.removesuffix(".pub") for one in names(folder, NODE_KEYS) if one.endswith(".pub")),
        "nodes": _nodes(folder) if up else [],
        "jobs": [_job(job, queue.standing(job)) for job in queue.jobs()[-MOST_SHOWN:]],
    }


def lines_of(found: Mapping[str, Any]) -> list[str]:
    """For people."""
    lines = ["Not served: start it with `wardround server up`."] if not found["served"] else []
    for name, one in found["programs"].items():
        times = f", started again {one['restarts']} times" if one["restarts"] else ""
        lines.append(f"{name}: {'running' if one['running'] else 'not running'}{times}")
    if found["front"]:
        lines.append(f"front listens on {found['front'].get('host') or '*'}:{found['front'].get('port')}")
    online = [one for one in found["nodes"] if one["status"] == "online"]
    lines.append(f"nodes: {len(online)} of {len(found['members'])} connected")
    lines += [f"  {one['name'] or one['id']}: {one['status']}" for one in found["nodes"]]
    lines += [line for job in found["jobs"] for line in _job_lines(job)] or ["no jobs"]
    return lines


def _job_lines(job: Mapping[str, Any]) -> list[str]:
    again = f", attempt {job['attempts']}" if job["attempts"] > 1 else ""
    reason = f": {job['reason']}" if job["reason"] else ""
    rounds = f", {job['rounds_done']} of {job['rounds'] or '?'} rounds" if job["attempts"] else ""
    lines = [f"job {job['id']} ({job['name']}): {job['state']}{again}{rounds}{reason}"]
    lines += [f"  waits for {', '.join(job['waits_for'])}"] * bool(job["waits_for"])
    return lines + [f"  {site} refuses, and is asked again: {why}" for site, why in job["refused"].items()]


def _job(job: Job, standing: Standing) -> dict[str, Any]:
    place = Path(job.folder)
    return {
        "id": int(job.id),
        "name": job.name,
        "state": standing.state,
        "attempts": len(standing.attempts),
        "reason": standing.reason,
        "code": standing.code,
        "folder": job.folder,
        "rounds_done": rounds_done(job),
        "rounds": _rounds(job),
        "waits_for": _waits_for(place) if standing.state == "running" else [],
        "refused": _refused(place) if standing.state == "running" else {},
        "dropped": _dropped(place),
    }


def _waits_for(place: Path) -> list[str]:
    """Hospitals that were asked and have not replied."""
    sites = _tables(readable_table(place, LIVE).get("sites"))
    return sorted(site for site, one in sites.items() if one.get("state") == "asked")


def _refused(place: Path) -> dict[str, str]:
    """Before the first round: who refuses for a reason that time may change, and which."""
    refused = readable_table(place, LIVE).get("refused", {})
    return {str(site): str(why) for site, why in sorted(refused.items())} if isinstance(refused, dict) else {}


def _dropped(place: Path) -> list[str]:
    """Hospitals whose reply the last finished round went without."""
    if not is_there(place, "rounds.jsonl"):
        return []
    try:
        last = (read_lines(place, "rounds.jsonl") or [{}])[-1]
    except FileError:
        return []
    dropped = last.get("dropped")
    return sorted(
        {str(one.get("site")) for one in dropped if isinstance(one, dict)} if isinstance(dropped, list) else ()
    )


def _rounds(job: Job) -> int | None:
    import tomllib

    try:
        rounds = tomllib.loads(job.study).get("rounds")
    except ValueError:
        return None
    return rounds if isinstance(rounds, int) else None


def _nodes(folder: Path) -> list[dict[str, Any]]:
    """As the SuperLink says; [] where it cannot be asked just now."""
    home = folder / LINK
    flower = FlowerCommands(home / "programs", home, secrets_in(home / "secrets"))
    try:
        said = flower.say("supernode", "list", FEDERATION, longest_s=QUICK_COMMAND_S)
    except EngineError:
        return []
    finally:
        flower.end()
    known = names_of_nodes(folder)
    return [
        {"id": number, "name": known.get(number, ""), "status": str(one.get("status"))}
        for one in said.get("nodes", [])
        if (number := str(one.get("node-id"))) in known
    ]


def _tables(value: object) -> dict[str, dict[str, Any]]:
    """Those of a table's values that are tables: what stands in a file may be damaged."""
    return {name: one for name, one in value.items() if isinstance(one, dict)} if isinstance(value, dict) else {}

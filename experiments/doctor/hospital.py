"""What keeps a hospital from taking part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from client.approvals import approvals
from client.node_settings import NodeSettings, read_settings
from common.consortium.expiry import of_node
from common.study.program import this_program
from experiments.doctor import members, reaching, surroundings
from experiments.doctor.finding import Finding, fail, looked, ok, warn
from experiments.doctor.keys import ends, hospital_certificate

SECRETS = ("keys/tls.key", "keys/node.key", "identity.key", "keys")
ENROL = "Run `wardround node enrol`, send the request, and accept the reply."


def examined(folder: Path, at: datetime) -> Iterator[Finding]:
    """Everything, also after what fails."""
    yield from surroundings.versions()
    yield surroundings.disk(folder)
    yield from surroundings.permissions(folder, SECRETS)
    found: list[Finding] = list(looked("settings", "Write node.toml; the docs show one.", lambda: _settings(folder)))
    yield from found
    if found[-1].status == "fail":
        return
    settings = read_settings(folder)
    yield _data(folder, settings)
    yield from looked("certificate", ENROL, lambda: hospital_certificate(folder, settings.site, at))
    yield from looked("certificate", ENROL, lambda: ends(of_node(folder), at))
    yield from looked("members", members.NEW_REPLY, lambda: members.signatures(folder))
    yield from looked("membership", members.NEW_REPLY, lambda: members.own_keys(folder, settings.site))
    yield from looked("approvals", "Approve the study once more.", lambda: approved(folder))
    yield from looked("way", ENROL, lambda: reaching.way(folder, settings))


def _settings(folder: Path) -> Iterator[Finding]:
    settings = read_settings(folder)
    way = f", through {settings.proxy.rpartition('@')[2]}" if settings.proxy else ""
    yield ok("settings", f"{settings.site}, of the coordinator at {settings.coordinator}{way}")
    if settings.rehearsal:
        yield warn("settings", "rehearsal = true: studies say where the data are", "Remove it from node.toml.")


def _data(folder: Path, settings: NodeSettings) -> Finding:
    if not settings.data_folder:
        remedy = "Set data_folder in node.toml; only studies of made-up data are answered without."
        return warn("data", "node.toml names no data_folder", remedy)
    place = folder / settings.data_folder
    if not place.is_dir():
        return fail("data", f"there is no folder {place}", "Mount it, or correct data_folder in node.toml.", False)
    if not os.access(place, os.R_OK | os.X_OK):
        return fail("data", f"{place} may not be read by this user", "Let the node's user read it, and only read it.")
    return ok("data", str(place))


def approved(folder: Path) -> Iterator[Finding]:
    """Studies that stand, and those that were approved for another program, which refuses them."""
    standing = [one for one in approvals(folder) if not one.revoked]
    program = this_program()
    for one in standing:
        if one.program != program.digest:
            said = f"{one.title or one.digest[:12]} was approved for program {one.program[:12]} ({one.version})"
            yield warn(
                "approval",
                f"{said}; this is {program.digest[:12]}",
                f"wardround approve {one.digest[:12]} --folder '{folder}'",
            )
    if all(one.program == program.digest for one in standing):
        yield ok("approvals", f"{len(standing)} studies are approved, for this program")

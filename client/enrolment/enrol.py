"""`wardround node enrol` and `rotate`: a hospital's folder, its keys, and the one file that a person hands over."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import tomli_w

from client.atomic_write import write_durably
from client.audit_log import note
from client.enrolment.keys import BUSY, LOCK, make_keys, make_next_keys, read_secrets
from client.node_settings import FILE, NodeSettings, read_settings
from common.consortium.forms import as_source_error, member_name
from common.consortium.members import members_if_there
from common.consortium.requests import SUFFIX, Request, make
from common.errors import HospitalError, StudyError
from common.files.access import is_there, private_folder
from common.files.json_files import write_json
from common.files.locks import held

COORDINATORS = "consortium.json"
"""What a coordinator's folder holds from its first day on, and no hospital's."""
_ADDRESS = re.compile(r"https://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::([0-9]{1,5}))?")


def enrol(settings: NodeSettings, folder: Path, at: datetime) -> Path:
    """The hospital's request, written into its folder, which is made where it is not there; the file's path.

    Keys that are there stay. Raises SourceError for a name that no member can have, HospitalError where the folder is
    set up for another hospital.
    """
    as_source_error("the hospital's name", lambda: member_name(settings.site))
    _demand_address(settings.coordinator)
    if is_there(folder, COORDINATORS):
        raise HospitalError(
            f"{folder} is a coordinator's folder: it holds {COORDINATORS}. A hospital has a folder, and keys, of its "
            "own: name another."
        )
    private_folder(folder)
    with held(folder, LOCK, BUSY):
        if is_there(folder, FILE):
            _demand_same(read_settings(folder), settings, folder)
        else:
            write_durably(folder / FILE, tomli_w.dumps(asdict(settings)).encode())
        return _write(folder, make(settings.site, make_keys(folder), at))


def rotate(folder: Path, at: datetime) -> Path:
    """A request for new keys, signed by those that it replaces, which stay in use until its reply is accepted."""
    settings = read_settings(folder)
    with held(folder, LOCK, BUSY):
        if members_if_there(folder) is None:
            raise HospitalError(
                f"{folder} is no member of a consortium yet: keys that nobody accepted need no rotation; enrol."
            )
        return _write(folder, make(settings.site, make_next_keys(folder), at, read_secrets(folder)))


def _write(folder: Path, request: Request) -> Path:
    note(folder, "rotation asked for" if request.replaces else "enrolment asked for", keys=request.keys.digest)
    return write_json(folder, f"{request.name}{SUFFIX}", request.table, durable=True)


def _demand_same(found: NodeSettings, wanted: NodeSettings, folder: Path) -> None:
    for name, value in asdict(wanted).items():
        here = getattr(found, name)
        if here != value and (value or name == "site"):
            raise HospitalError(
                f"{folder / FILE} says {name} = {here!r}, and you ask for {value!r}: a folder is one hospital's, and "
                "what is set up stays. Edit that file, or name another folder."
            )


def _demand_address(coordinator: str) -> None:
    found = _ADDRESS.fullmatch(coordinator)
    if found is None or not 0 < int(found[1] or 443) < 1 << 16:
        raise StudyError(f"--coordinator must be https://host:port and nothing more; it is {coordinator[:80]!r}.")

"""`wardround consortium create`: an authority, the coordinator's identity, the front's certificate, an empty list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import tomli_w

from common.consortium.certificates import key_digest, new_authority, pem, private_pem
from common.consortium.forms import as_source_error, member_name
from common.consortium.members import CoordinatorKeys, MemberList
from common.errors import SourceError, StudyError
from common.files.access import is_there, private_folder, write
from common.files.locks import held
from common.sums import identity
from server.consortium.issuing import Desk, publish
from server.consortium.place import (
    AUTHORITY,
    AUTHORITY_KEY,
    FILE,
    LOCK,
    Consortium,
    Issues,
    Public,
    read_public,
)
from server.coordinator_folder import SETTINGS

LONGEST_DAYS = 36500
HOSPITALS = "node.toml"
"""What a hospital's folder holds from its enrolment on, and no coordinator's."""


def create(
    name: str, folder: Path, hosts: Sequence[str], port: int, at: datetime, days: int, leaf_days: int
) -> Consortium:
    """A consortium without members. days: of its authority; leaf_days: of certificates and the revocation list.

    Raises SourceError where the folder holds one, or keys of one, already; StudyError for a host or port that cannot
    be.
    """
    as_source_error("the consortium's name", lambda: member_name(name))
    if is_there(folder, HOSPITALS):
        raise SourceError(
            f"{folder} is a hospital's folder: it holds {HOSPITALS}. A coordinator has a folder, and keys, of "
            "its own: name another."
        )
    private_folder(folder)
    with held(folder, LOCK, "is being changed by another command; try again"):
        for made in (FILE, AUTHORITY_KEY):
            if is_there(folder, made):
                raise SourceError(f"{folder / made} is there: a consortium and its keys are never made anew.")
        public = _settings(folder, hosts, port)
        authority = new_authority(name, at, days)
        desk = Desk(folder, authority, Issues(0, ()), at, leaf_days, leaf_days)
        try:
            desk.certify_front(public)
        except (ValueError, TypeError) as error:
            raise StudyError(f"a host cannot go into a certificate: {error}") from error
        write(folder, AUTHORITY_KEY, private_pem(authority.key), durable=True)
        write(folder, AUTHORITY, pem(authority.certificate), durable=True)
        keys = CoordinatorKeys(identity.create(folder), key_digest(authority.key.public_key()))
        desk.settle()
        consortium = Consortium(MemberList(name, {}, keys, 0), {})
        publish(folder, consortium)
        return consortium


def _settings(folder: Path, hosts: Sequence[str], port: int) -> Public:
    """What is asked for, written into server.toml where there is none; a file that is there must say the same."""
    if not hosts or not all(one and one.isascii() and one.isprintable() and " " not in one for one in hosts):
        raise StudyError(
            "--host must name the front as nodes reach it, a DNS name (in its ASCII form) or an address."
        )
    if not 0 < port < 1 << 16:
        raise StudyError(f"--port must be 1 to 65535; it is {port}.")
    wanted = Public(hosts[0], port, tuple(hosts))
    if not is_there(folder, SETTINGS):
        table = {"public_host": hosts[0], "public_port": port, "hosts": list(hosts), "front": {"port": port}}
        write(folder, SETTINGS, tomli_w.dumps(table), durable=True)
    found = read_public(folder)
    if found != wanted:
        raise StudyError(
            f"{folder / SETTINGS} says public_host = {found.public_host!r}, public_port = {found.public_port}, "
            f"hosts = {list(found.hosts)}, and you ask for {wanted.public_host!r}, {port} and {list(hosts)}: edit it."
        )
    return wanted

"""Approvals and waiting studies by the first digits of their digest, their lists, and a no after a yes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from client.approvals import LEAST_DIGITS, Approval, approvals, keep_approval, now, read_approval, user
from client.approved_studies import listed_digests, unlist
from client.audit_log import note
from client.ownership import give_to_owner
from client.waiting_studies import Asked, decline, declined, forget_waiting, waiting
from common.errors import FileError, HospitalError
from common.study.program import this_program

_DIGITS = re.compile(rf"[0-9a-f]{{{LEAST_DIGITS},64}}")


def is_digest(text: str) -> bool:
    """Whether it may stand for a digest: its first digits, or all."""
    return _DIGITS.fullmatch(text.lower()) is not None


def approval_called(digits: str, folder: Path) -> Approval:
    """The record of an approval, standing or revoked. Raises HospitalError where there is none, or several."""
    found = {one.digest: one for one in approvals(folder)}
    return found[_the_one(digits, found, f"approval in {folder}")]


def waiting_called(digits: str, folder: Path) -> Asked:
    """A study that waits. Raises HospitalError where there is none, or several."""
    found = {one.digest: one for one in waiting(folder)}
    return found[_the_one(digits, found, f"study that waits in {folder}")]


def known_study(digits: str, folder: Path) -> str:
    """The JSON of a study that waits, or that was approved here before: after an update it is agreed to once more.

    Raises HospitalError where there is none, or several.
    """
    found = {one.digest: one.study for one in approvals(folder)} | {one.digest: one.study for one in waiting(folder)}
    return found[_the_one(digits, found, f"study in {folder}, waiting or approved before,")]


def told_approvals(folder: Path) -> Sequence[str]:
    """Every study of the list: who agreed, when, and to which program."""
    said = [_told(digest, read_approval(folder, digest)) for digest in listed_digests(folder)]
    revoked = [f"{one.digest}  {one.title}: REVOKED, {one.revoked}" for one in approvals(folder) if one.revoked]
    return [*said, *revoked] or ["No study is approved here."]


def told_waiting(folder: Path) -> Sequence[str]:
    """Every study that asked and that nobody here has agreed to."""
    said = [f"{one.digest}  {one.title}: it asked first on {one.when}" for one in waiting(folder)]
    return said or ["No study waits for approval."]


def revoke(digits: str, folder: Path) -> str:
    """Take an approval back, from the node's next message on; its digest.

    Raises HospitalError where there is none, or it cannot be written.
    """
    digest = _the_one(digits, listed_digests(folder), f"approved study in {folder}")
    note(folder, "revoked", study=digest, by=user())
    unlist(digest, folder)
    _mark_revoked(digest, folder)
    give_to_owner(folder)
    return digest


def refuse(digest: str, reason: str, folder: Path) -> None:
    """Decline a study: the coordinator is told that, and not why. One that was approved is so no more.

    Raises HospitalError where it has no reason, or it cannot be written.
    """
    if not reason.strip():
        raise HospitalError("say why, for those who come after you: --refuse 'the ethics board said no'.")
    try:
        note(folder, "declined", study=digest, by=user())
        decline(digest, reason.strip(), folder)
        if unlist(digest, folder):
            _mark_revoked(digest, folder)
        forget_waiting(digest, folder)
    except FileError as error:
        raise HospitalError(f"the no could not be written down: {error}") from error
    give_to_owner(folder)


def _mark_revoked(digest: str, folder: Path) -> None:
    record = read_approval(folder, digest)
    if record is None:
        return
    try:
        keep_approval(replace(record, revoked=f"{now()} by {user()}"), folder)
    except FileError as error:
        raise HospitalError(f"the study is off the list; its record could not say so: {error}") from error


def _told(digest: str, record: Approval | None) -> str:
    if record is None:
        return f"{digest}  listed by hand: no program is pinned to it"
    own = (
        "the program that runs here" if record.program == this_program().digest else "ANOTHER program than runs here"
    )
    return (
        f"{digest}  {record.title}: approved on {record.when} by {record.who} ({record.how}), with {own} (wardround "
        f"{record.version}, {record.program})"
    )


def _the_one(digits: str, known: Iterable[str], what: str) -> str:
    wanted = digits.lower()
    if not is_digest(wanted):
        raise HospitalError(
            f"{digits[:80]!r} is no digest: give {LEAST_DIGITS} of its first hexadecimal digits, or all."
        )
    found = [digest for digest in known if digest.startswith(wanted)]
    if len(found) != 1:
        many = f"{len(found)} of them begin so: give more digits." if found else "see --list and --waiting."
        raise HospitalError(f"there is no one {what} with the digest {digits}; {many}")
    return found[0]


def is_declined(digest: str, folder: Path) -> bool:
    """Whether somebody said no to it."""
    return declined(digest, folder) is not None

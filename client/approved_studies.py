"""The studies a hospital has agreed to: a list in its own folder, which no message from outside can change.

Without it a coordinator could send any study: another network, no epsilon, no protected sum. A deployed hospital
therefore serves no study that is not listed; a simulated one keeps to its list where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from client.approvals import LISTED_BY_PROGRAM, approval_now, keep_approval
from client.atomic_write import write_durably
from common.errors import FileError, HospitalError, RefusedError
from common.files.access import if_there, read
from common.files.locks import held

if TYPE_CHECKING:
    from common.study.study import Study

APPROVED = "approved-studies.txt"
"""One line a study: the SHA-256 of its JSON as it travels, in hexadecimal, then anything that tells people which:
its title, and the plug-ins that were agreed to with it."""
PLUGINS = "  plug-ins: "
LARGEST_LIST_BYTES = 1 << 26
LOCK = "approved-studies.lock"


def digest_of(study_json: str) -> str:
    """What stands for a study in the list: every setting is in it."""
    return sha256(study_json.encode()).hexdigest()


def list_study(study: Study, folder: Path, how: str = LISTED_BY_PROGRAM) -> str:
    """Add a study to the list of a hospital's folder, unless it is there, and keep what runs it now; its digest.

    Raises HospitalError where the folder or its list cannot be read or written; the list is then as it was.
    """
    return list_json(study.json, study.title, folder, study.plugins, how)


def list_json(
    study_json: str,
    title: str,
    folder: Path,
    plugins: Mapping[str, str] = MappingProxyType({}),
    how: str = LISTED_BY_PROGRAM,
) -> str:
    """`list_study` of a study as it travels, whose code may not be known here.

    The record is on the disk before the list is: what is listed is pinned to the program of now.
    """
    digest, record = digest_of(study_json), approval_now(study_json, title, plugins, how)
    title = _shown(title) + (PLUGINS + _shown(" ".join(_words(plugins))) if plugins else "")
    try:
        with held(folder, LOCK, "", busy=lambda: None):
            known = if_there(_text, folder, APPROVED) or ""
            keep_approval(record, folder)
            if digest not in _digests(known):
                _write([*known.splitlines(), f"{digest}  {title}"], folder)
    except FileError as error:
        raise HospitalError(f"the study was not approved: {error}") from error
    return digest


def unlist(digest: str, folder: Path) -> bool:
    """Take a study off the list, from the node's next message on; whether it was there. Raises HospitalError."""
    try:
        with held(folder, LOCK, "", busy=lambda: None):
            lines = (if_there(_text, folder, APPROVED) or "").splitlines()
            kept = [line for line in lines if not line.strip() or line.split()[0].lower() != digest]
            if kept != lines:
                _write(kept, folder)
    except FileError as error:
        raise HospitalError(f"the list of approved studies stays as it was: {error}") from error
    return kept != lines


def listed_digests(folder: Path) -> tuple[str, ...]:
    """In the list's order. Raises HospitalError where it cannot be read."""
    try:
        return tuple(dict.fromkeys(_ordered(if_there(_text, folder, APPROVED) or "")))
    except FileError as error:
        raise HospitalError(f"the list of approved studies cannot be read: {error}") from error


def _write(lines: Sequence[str], folder: Path) -> None:
    write_durably(folder / APPROVED, "".join(f"{line}\n" for line in lines).encode())


def plugins_before(title: str, folder: Path) -> Mapping[str, str]:
    """The plug-ins that were last agreed to with a study of this title, and the SHA-256 of each."""
    lines = (if_there(_text, folder, APPROVED) or "").splitlines()
    start = f"{_shown(title)}{PLUGINS}"
    for line in reversed(lines):
        named = line.partition("  ")[2]
        if named.startswith(start):
            return dict(word.rsplit("=", 1) for word in named.removeprefix(start).split() if "=" in word)
    return {}


def _words(plugins: Mapping[str, str]) -> list[str]:
    return [f"{module}={digest}" for module, digest in sorted(plugins.items())]


def _shown(title: str) -> str:
    """In one line, without what a terminal would obey: the list is read by people too."""
    return " ".join("".join(one if one.isprintable() else " " for one in title).split())


def approve_study(study_json: str, folder: Path | None, needs_list: bool) -> None:
    """Raise RefusedError where the study is not on the hospital's list, or where it needs a list and has none."""
    listed = None if folder is None else if_there(_text, folder, APPROVED)
    if listed is None:
        if needs_list:
            raise RefusedError(
                "approval", f"{APPROVED} is not in this hospital's folder: write it with `wardround approve`."
            )
        return
    if digest_of(study_json) not in _digests(listed):
        raise RefusedError("approval", f"the study is not one of those in {APPROVED}.")


def _text(folder: Path, name: str) -> str:
    """Whatever an editor did to it: a byte-order mark is no part of the first digest."""
    try:
        return read(folder, name, LARGEST_LIST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise HospitalError(
            f"{folder / name} is no list of studies: it must be UTF-8 text, one digest a line."
        ) from None


def _digests(text: str) -> set[str]:
    return set(_ordered(text))


def _ordered(text: str) -> list[str]:
    return [line.split()[0].lower() for line in text.splitlines() if line.strip()]

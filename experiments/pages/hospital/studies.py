"""A hospital's studies: those that wait for its people, those they agreed to, and those they said no to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from client.approvals import Approval, approvals
from client.approved_studies import listed_digests
from client.waiting_studies import DECLINED, declined, waiting
from common.files.access import names
from common.study.program import this_program

SHOWN_DIGITS = 8
State = Literal["waiting", "approved", "approved for another program", "revoked", "refused"]


@dataclass(frozen=True)
class Known:
    """A study, by digest. text: its JSON as it travels; "" where nothing but its digest is here. words: who, when."""

    digest: str
    title: str
    state: State
    words: str
    text: str = ""

    @property
    def name(self) -> str:
        """Something to call it by."""
        return self.title or f"study {self.digest[:12]}"


def known_studies(folder: Path) -> tuple[Known, ...]:
    """All of them, those that wait ahead, then the newest. Raises HospitalError where a record is damaged."""
    asked = [
        Known(one.digest, one.title, "waiting", f"asked first on {_day(one.when)}", one.study)
        for one in waiting(folder)
    ]
    records = {one.digest: one for one in approvals(folder)}
    listed = [_listed(digest, records.get(digest)) for digest in listed_digests(folder)]
    here = {one.digest for one in (*asked, *listed)}
    gone = [
        Known(one.digest, one.title, "revoked", f"approval taken back, {one.revoked}", one.study)
        for one in records.values()
        if one.revoked and one.digest not in here and declined(one.digest, folder) is None
    ]
    return (*asked, *reversed(listed), *gone, *_refused(folder, records, here))


def names_of(known: Iterable[Known]) -> dict[str, str]:
    """By digest; where several have one name, with the first digits of theirs."""
    found = {one.digest: one.name for one in known}
    often = Counter(found.values())
    return {
        digest: f"{name} ({digest[:SHOWN_DIGITS]})" if often[name] > 1 else name for digest, name in found.items()
    }


def study_called(folder: Path, digest: str) -> Known | None:
    """The study with this whole digest."""
    return next((one for one in known_studies(folder) if one.digest == digest), None)


def _listed(digest: str, record: Approval | None) -> Known:
    if record is None:
        return Known(digest, "", "approved", "listed by hand: no program is pinned to it")
    state: State = "approved" if record.program == this_program().digest else "approved for another program"
    return Known(digest, record.title, state, f"by {record.who} on {_day(record.when)} ({record.how})", record.study)


def _refused(folder: Path, records: dict[str, Approval], here: set[str]) -> list[Known]:
    found = []
    for digest in (name.removesuffix(".json") for name in names(folder, DECLINED)):
        said = declined(digest, folder)
        if said is None or digest in here:
            continue
        record = records.get(digest)
        words = f"by {said.who or 'nobody knows whom'} on {_day(said.when)}: {said.reason}"
        title, text = (record.title, record.study) if record is not None else ("", "")
        found.append(Known(digest, title, "refused", words, text))
    return found


def _day(when: str) -> str:
    """An ISO time to the minute."""
    return when[:16].replace("T", " ") + " UTC" if when[10:11] == "T" else when or "an unknown day"

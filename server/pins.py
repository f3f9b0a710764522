"""What a run is held to from its start to its end, however often it is resumed: `run.json`.

Its name to hospitals, the study and the versions it began with, one opaque token of every hospital's data, and, in
sentences, whatever was found changed when it went on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from common.data.names import SiteId
from common.errors import FileError, RoundError, StudyError
from common.study.program import DIGITS_SHOWN
from common.study.resumption import changes
from common.study.study import Study
from server.members import Member
from server.run_folder import RunFolder

FILE = "run.json"
MOST_NAMED = 8


@dataclass
class Pins:
    """run: 32 hexadecimal digits. data: the token of every hospital that ever took part, by its name.

    withdrawn: how many persons each said withdrew since. programs: what each said it runs. data_root:
    where data sets lie whose folder the study does not say.
    """

    folder: RunFolder
    run: str
    study: Mapping[str, Any]
    versions: Mapping[str, str]
    data: dict[SiteId, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    withdrawn: dict[SiteId, int] = field(default_factory=dict)
    programs: dict[SiteId, str] = field(default_factory=dict)
    data_root: str = field(default_factory=lambda: str(Path(os.environ.get("WARDROUND_DATA", "data")).absolute()))

    @classmethod
    def begun(cls, folder: RunFolder, study: Study, versions: Mapping[str, str]) -> Pins:
        """Of a new run, written down."""
        pins = cls(folder, token_hex(16), json.loads(study.json), dict(versions))
        pins._write()
        return pins

    @classmethod
    def resumed(cls, folder: RunFolder, study: Study, versions: Mapping[str, str], last: int) -> Pins:
        """Of the run in a folder, after its round `last`.

        Raises StudyError where its study is another one now, FileError where what was written down is damaged.
        """
        kept = folder.read_json(FILE)
        if kept is None:
            return cls.begun(folder, study, versions)
        pins = _parsed(folder, kept, study, versions)
        found = changes(pins.study, json.loads(study.json))
        if found:
            raise StudyError(
                f"study.toml in {folder.path} is not what the run began with: {'; '.join(found[:MOST_NAMED])}. More "
                "rounds, longer waits and another engine are the same run; for anything else start a new one."
            )
        for name in sorted({*versions, *pins.versions}):
            now, before = versions.get(name), pins.versions.get(name)
            if now != before:
                pins._note(f"{name} {now} took the place of {name} {before} after round {last}.")
        pins.versions = {**pins.versions, **versions}
        return pins

    def compare(self, members: Mapping[SiteId, Member], last: int, accepts: bool) -> None:
        """Hold every hospital to its data, and write down what differs.

        Raises RoundError, and writes nothing, where the data of one changed and that is not accepted.
        """
        changed = [
            site for site, one in members.items() if site in self.data and not _same(one.data, self.data[site])
        ]
        if changed and not accepts:
            self.changes += [f"{site}'s data changed since round {last}; the run did not go on." for site in changed]
            raise RoundError(
                f"{_said(changed, 'data')} changed since round {last}: patients came, left or are placed elsewhere, "
                "or their images, values or labels are not what they were. Resume with --accept-changed-data, and "
                "whoever trained stays in training, or start a new run."
            )
        for site in changed:
            self._note(f"{site}'s data changed since round {last}. It was accepted: nobody who was there has moved.")
        if self.data:
            for site in sorted(members.keys() - self.data.keys()):
                self._note(f"{site} takes part since round {last + 1}.")
            for site in sorted(self.data.keys() - members.keys()):
                self._note(f"{site} took part until round {last} at most, and was not there when the run went on.")
        self.data |= {site: one.data for site, one in members.items()}
        self._note_programs(members, last)
        self._write()

    def _note_programs(self, members: Mapping[SiteId, Member], last: int) -> None:
        """As hospitals say themselves: their people approved the change, or they would have refused."""
        for site, one in sorted(members.items()):
            before = self.programs.get(site, "")
            if before and one.program != before:
                now = one.program[:DIGITS_SHOWN] or "one of which it says nothing"
                self._note(f"{site} ran program {before[:DIGITS_SHOWN]} until round {last}, and then {now}.")
        self.programs |= {site: one.program for site, one in members.items() if one.program}

    def note_withdrawn(self, withdrawn: Mapping[SiteId, int], last: int) -> None:
        """Write down how many persons withdrew at each hospital, as it says; last: the round they were there in."""
        now = {site: count for site, count in withdrawn.items() if count != self.withdrawn.get(site, 0)}
        for site, count in sorted(now.items()):
            more = count - self.withdrawn.get(site, 0)
            self._note(_left(more, site, last) if more > 0 else _back(-more, site, last))
        if now:
            self.withdrawn |= now
            self._write()

    def _note(self, sentence: str) -> None:
        if sentence not in self.changes:
            self.changes.append(sentence)

    def _write(self) -> None:
        table = {
            "run": self.run,
            "study": self.study,
            "versions": self.versions,
            "data": self.data,
            "data_root": self.data_root,
            "changes": self.changes,
            "withdrawn": self.withdrawn,
            "programs": self.programs,
        }
        self.folder.write_json(FILE, table)


def _left(count: int, site: SiteId, last: int) -> str:
    said = f"{count} {'person' if count == 1 else 'persons'} withdrew at {site} after round {last}"
    if last == 0:
        return f"{said}: nothing was learned of them in this run."
    return (
        f"{said}: nothing of theirs is in later rounds. What models of round {last} and before learned of them stays "
        "in those and in whatever was trained on from them."
    )


def _back(count: int, site: SiteId, last: int) -> str:
    return f"{count} who had withdrawn at {site} consented again after round {last}."


def _same(token: str, before: str) -> bool:
    """A hospital that never said a token cannot be compared."""
    return not before or token == before


def _said(sites: Sequence[SiteId], what: str) -> str:
    named = ", ".join(f"{site}'s" for site in sites[:MOST_NAMED])
    more = f" and those of {len(sites) - MOST_NAMED} more hospitals" if len(sites) > MOST_NAMED else ""
    return f"{named} {what}{more}"


def _parsed(folder: RunFolder, kept: Any, study: Study, versions: Mapping[str, str]) -> Pins:
    """Runs of before this was kept name the run alone, and are held to what they are found with."""
    try:
        return Pins(
            folder,
            str(kept["run"]),
            dict(kept.get("study", json.loads(study.json))),
            {str(name): str(said) for name, said in kept.get("versions", versions).items()},
            {str(site): str(token) for site, token in kept.get("data", {}).items()},
            [str(sentence) for sentence in kept.get("changes", [])],
            {str(site): int(count) for site, count in kept.get("withdrawn", {}).items()},
            {str(site): str(digest) for site, digest in kept.get("programs", {}).items()},
            str(kept.get("data_root", "")),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise FileError(folder.path / FILE, "does not say what the run began with") from error

"""What a run loses, in words for the terminal: at once as it happens, and again in its last lines.

Hospitals of a simulation lie on this machine, in the run's folder: texts of incidents and the cases that could not be
used are read there. No such text crosses the wire, and of deployed hospitals there is nothing to read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.running.words import one_line
from server.progress import Event, HospitalDropped, HospitalJoined, ProblemFound
from server.reporting.comparison import TOGETHER, compare
from server.reporting.folder import read_run
from server.reporting.kept_here import FOLDER, Named, read_kept
from server.reporting.losses import Losses
from server.reporting.records import Run
from server.reporting.summary import outcome
from server.reporting.wording import capital, count, listed, score, score_name

FEW_CASES = 4
MOST_LINES = 12
LONG_REASON = 40
"""Characters; a shorter one is soon read again."""
PROBLEMS = 3
"""Exit code of a run that came to its end and lost a hospital, a round's reply or a step on the way."""


@dataclass
class Said:
    """Losses that were said: none is said twice, as a round is tried again, nor a long reason spelt out twice."""

    lines: set[str] = field(default_factory=set)
    first_site: dict[tuple[str, str], str] = field(default_factory=dict)
    """Of each stage and reason."""

    def shortened(self, reason: str, stage: str, site: str) -> str:
        """The reason; where another hospital was lost for the same one, which."""
        head, text, tail = _parts(reason)
        first = self.first_site.setdefault((stage, text), site)
        alike = first != site and len(text) > LONG_REASON
        return f"{head}as at {one_line(first)}{tail}" if alike else reason

    def new(self, line: str) -> list[str]:
        """The line, unless it was said; with another incident's number it is the same."""
        key = re.sub(r"incident \w{8}", "incident", line)
        fresh = key not in self.lines
        self.lines.add(key)
        return [line] * fresh


def lines_at_once(event: Event, folder: Path | None, said: Said | None = None) -> list[str]:
    """What is to be said of an event as soon as it happens; [] for most, and for what was said before."""
    said = said or Said()
    match event:
        case HospitalJoined():
            return _joined(event, folder)
        case HospitalDropped() if not event.stage:
            reason = said.shortened(_explained(event.reason, folder, event.site), f"{event.round}", event.site)
            return said.new(f"round {event.round}: {one_line(event.site)} dropped: {reason}")
        case ProblemFound(problem):
            reason = _explained(problem.reason, folder, problem.site)
            reason = said.shortened(reason, problem.stage, problem.site) if problem.site else reason
            return said.new(one_line(problem.told(reason), MOST_CHARACTERS))
    return []


def _parts(reason: str) -> tuple[str, str, str]:
    """The number of an incident, what happened, and where the log is; of another reason the middle alone."""
    found = re.fullmatch(r"(incident \w{8}, )(.*)( \(see [^()]*\))", reason)
    return (found[1], found[2], found[3]) if found else ("", reason, "")


def last_lines(folder: Path) -> tuple[list[str], int]:
    """How a run that came to its end went, who took part and what was left out; and the exit code."""
    run = read_run(folder)
    losses = Losses(run, in_full=True)
    lines = [f"{outcome(run, losses)} (in {folder})", *_result(run)]
    if len(losses.took_part) < losses.expected:
        lines.append(losses.census)
    return lines + lost_lines(folder), PROBLEMS if losses.grave else 0


def _result(run: Run) -> list[str]:
    found = compare(run)
    mean, whose = found.mean("federated"), "of all hospitals together"
    if mean is None:
        return []
    if TOGETHER not in found.federated:
        whose = f"on average over {count(len(found.shared), 'hospital')}"
    return [f"{capital(score_name(found.score))} {score(mean)} on {found.split} cases {whose}"]


def lost_lines(folder: Path) -> list[str]:
    """All that was left out, a line each; many are cut, and said to be."""
    sentences = Losses(read_run(folder), in_full=True).sentences
    shown = [f"  {one_line(sentence, MOST_CHARACTERS)}" for sentence in sentences[:MOST_LINES]]
    more = len(sentences) - len(shown)
    return [*shown, *([f"  and {more} more, in summary.json"] if more > 0 else [])]


MOST_CHARACTERS = 2000


def _joined(event: HospitalJoined, folder: Path | None) -> list[str]:
    """Cases of a hospital that could not be used, the first few with the reason."""
    site = one_line(event.site)
    kept = read_kept(folder, [event.site]) if folder is not None else None
    named: Named = kept.quarantined.get(event.site, ()) if kept else ()
    number = max(event.quarantined, len(named))
    lines = [f"{site}: {count(number, 'case')} could not be used" + ":" * bool(named)] if number else []
    lines += [f"  {one_line(name)}: {one_line(reason, MOST_CHARACTERS)}" for name, reason in named[:FEW_CASES]]
    if len(named) > FEW_CASES and folder is not None:
        place = folder / FOLDER / event.site / "quarantined.txt"
        lines.append(f"  and {len(named) - FEW_CASES} more in {place}")
    cut = kept.removed.get(event.site, ()) if kept else ()
    return [*lines, *([f"{site}: of the truth were cut away {_cut(cut)}"] if cut else [])]


def _cut(named: Named) -> str:
    return listed([f"{what} of {one_line(name)}" for name, what in named])


def _explained(reason: str, folder: Path | None, site: str) -> str:
    sites: Sequence[str] | None = [site] if site else None
    known = reason if folder is None else read_kept(folder, sites).explained(reason, site, in_full=True)
    return one_line(known, MOST_CHARACTERS)

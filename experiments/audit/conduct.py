"""A whole audit: observe, attack, score, judge. Truth is opened only to score what the attacks came up with.

A loop over attacks that fit what adversaries see (`plan`), whose questions score them; it knows none of them by name.
Whatever fails in an attack, a question or an adversary, ours or a stranger's, is a trial that says so.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from client.hospital import site_names
from common.errors import FileError, StudyError
from common.files.access import if_there
from common.files.json_files import read_table
from common.learning.device import chosen, repeatable
from common.seeding import generator
from common.study.audit_settings import Audit
from common.study.dossier_settings import Dossier
from experiments.attack import Finding
from experiments.audit.cast import Cast, cast_of
from experiments.audit.claims import claim_of, hospitals_asked
from experiments.audit.dossier.assembling import with_sheet
from experiments.audit.plan import USED_UP, Planned, failure, planned, seen
from experiments.audit.records import FAILED, WORST, Opening, Power, Reason, Report, Trial
from experiments.audit.run import Run
from experiments.audit.strangers import as_before, checked_finding, checked_plants, checked_trial, own_copy
from experiments.audit.verdict import verdicts
from experiments.audit.visibility import as_rows, parties_of
from experiments.evidence.answered_maps import maps_answered
from experiments.evidence.budget import WorkClock
from experiments.evidence.observing import observe, sent_orders
from experiments.evidence.public_cases import public_cases
from experiments.evidence.releases import release_of_study
from experiments.observation import Observation
from experiments.question import Plant
from server.reporting.folder import read_run
from server.reporting.losses import Losses
from server.reporting.parsing import traffic_of

Advance = Callable[[str], None]
MOST_TIMES, GRACE_S = 2.0, 60.0
"""After so many times the seconds, and these, no further attempt is begun, whoever used them up."""
NOT_TRIED = (
    (
        "other ways for the coordinator to cheat",
        "in this run it was honest; models made to copy data, a model for each hospital and sums that differ by one "
        "hospital were played where they could be; hospitals made up were not",
    ),
    (
        "hospitals that collude and cheat",
        "those that were played kept to the protocol and told the coordinator what they sent, in one round; neither "
        "secret shares nor keys that they could keep were used",
    ),
    ("timing and sizes of messages", "how long a hospital took, and how much it sent, may tell the size of its data"),
    ("every round", "each attack took the few updates most likely to give something away, not every one"),
    (
        "attacks not published yet",
        "an attack that fails is no proof: only an epsilon bounds what a better one can do",
    ),
)


@dataclass(frozen=True)
class Effort:
    """seconds: of all attacks; None: as the study says. pictures: whether patients' images go into the report.

    poisoning: whether small federations are run with a hospital that poisons, which takes a minute or more. attacks,
    questions, adversaries: by name, module or file, beside those of every audit; their code is run. said: words of
    `[dossier]` in the place of the study's. public: cases of other people, as `public_cases` reads them. release:
    of the study's patients, as `release_of_study` reads it. maps: folder of an answer of `attribution_maps`.
    """

    seconds: float | None = None
    pictures: bool = False
    poisoning: bool = False
    attacks: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    adversaries: tuple[str, ...] = ()
    said: Dossier | None = None
    public: Path | None = None
    release: Path | None = None
    maps: Path | None = None

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """As `cast_of` takes them."""
        poisoner = ("poisoner",) if self.poisoning else ()
        return (
            *(("attack", name) for name in self.attacks),
            *(("question", name) for name in self.questions),
            *(("adversary", name) for name in (*self.adversaries, *poisoner)),
        )


def audit_run(folder: Path, effort: Effort, advance: Advance = lambda _: None) -> Report:
    """Attack a finished run of a simulation. Raises StudyError where it recorded no traffic or did not complete."""
    torch.set_num_threads(1)
    begin = perf_counter()
    cast, about = cast_of(effort.named), _about(folder)
    advance("reading what the coordinator saw")
    run = opened(folder, effort)
    with repeatable(chosen()):
        report = _report(run, about, effort, cast, attacked(run, cast, advance))
    return with_sheet(replace(report, seconds=perf_counter() - begin), run.study, folder, effort.said)


def opened(folder: Path, effort: Effort) -> Run:
    """A finished run, with what was seen of it and what it promised."""
    observed, orders = observe(folder), sent_orders(folder)
    _check_hospitals(observed)
    claim = claim_of(observed.study, folder, hospitals_asked(observed, orders), observed.sites)
    seconds = observed.study.audit.seconds if effort.seconds is None else effort.seconds
    public = None if effort.public is None else public_cases(effort.public, observed.study, observed.shape)
    release = None if effort.release is None else release_of_study(effort.release, observed.study, observed.sites)
    maps = None if effort.maps is None else maps_answered(effort.maps, observed.sites)
    return Run(folder, observed, orders, claim, effort.pictures, seconds, public, release, maps)


@dataclass(frozen=True)
class Attacked:
    """All attempts, what was opened of sums, and which planted faults were seen."""

    trials: tuple[Trial, ...]
    openings: tuple[Opening, ...]
    power: tuple[Power, ...]


def attacked(run: Run, cast: Cast, advance: Advance = lambda _: None) -> Attacked:
    """The loop: what one attempt and its scoring leave of its share is for those after it.

    Counted is what this process worked: on a machine that others keep busy later attempts lose nothing.
    """
    advance("what each adversary could see")
    views, (plants, trials) = seen(cast, run), _planted(cast, run)
    attempts, left, spent = planned(cast, views, plants, run), run.seconds, 0.0
    sightings: list[Sighting] = []
    for number, one in enumerate(attempts):
        advance(f"{one.attempt.attack} {one.attempt.view.site}".strip())
        part = one.weight / (sum(other.weight for other in attempts[number:]) or 1.0)
        late = USED_UP if spent > MOST_TIMES * run.seconds + GRACE_S else ""
        clock = WorkClock()
        finding = _found(one, run, max(left, 0.0) * part, one.reason or late)
        scored = _scored(one, finding, run, cast)
        if one.plant is None:
            trials += scored
        else:
            why = "" if finding.possible else finding.reason or "it is not possible"
            sightings.append((one, _is_seen(one, scored, run, cast), why))
        spent, left = spent + clock(), left - clock()
    openings = tuple(view.opening for of in views.values() for view in of if view.opening is not None)
    return Attacked(tuple(trials), openings, _power(plants, sightings))


Sighting = tuple[Planned, bool, str]
"""Whether a planted fault was seen, and why it could not be shown to the attack, if so."""


def _planted(cast: Cast, run: Run) -> tuple[dict[str, list[Plant]], list[Trial]]:
    """By question; and a trial that says so where its faults could not be planted."""
    plants: dict[str, list[Plant]] = {}
    trials = []
    for name, question in cast.questions.items():
        if not hasattr(question, "plants"):
            continue
        try:
            with as_before():
                plants[name] = checked_plants(list(question.plants(run)))
        except BaseException as error:  # noqa: BLE001 - a stranger's question
            none = Trial("planted faults", name, "", "", str(question.asks), "", "")
            trials.append(replace(none, possible=False, reason=failure(error), settings={FAILED: True}))
    return plants, trials


def _found(one: Planned, run: Run, seconds: float, reason: str) -> Finding:
    """What the attack says, or that it failed; the seconds are those that it took. reason: why it is not run."""
    attempt, observed, begin = one.attempt, one.attempt.view.observed, perf_counter()
    if reason:
        failed = {FAILED: True} if reason == USED_UP else {}
        return Finding(attempt.attack, observed.observer, False, reason, settings=failed)
    try:
        with as_before():
            rng = generator(run.study.seed, *one.words)
            found = checked_finding(one.attack.run(own_copy(observed), rng, seconds))
    except BaseException as error:  # noqa: BLE001 - a stranger's, or ours on a stranger's study
        found = Finding(attempt.attack, observed.observer, False, failure(error), settings={FAILED: True})
    return replace(found, seconds=perf_counter() - begin)


def _scored(one: Planned, finding: Finding, run: Run, cast: Cast) -> list[Trial]:
    """As the attack's question says; that its score failed where it does."""
    attempt, plugins = one.attempt, {plugin.name: plugin.sha256 for plugin in cast.plugins if plugin.kind == "attack"}
    question = cast.questions[attempt.question]
    try:
        with as_before():
            scored = list(question.scored(attempt, finding, run))
        trials = [checked_trial(trial, attempt.view.site, run.observed.sites) for trial in scored]
    except BaseException as error:  # noqa: BLE001 - a stranger's, or ours on what a stranger's attack gave
        reason = f"what it found could not be scored: {failure(error)}"
        lost = Finding(attempt.attack, finding.observer, False, reason, finding.seconds, settings={FAILED: True})
        trials = [attempt.trial(question.asks, lost)]
    digest = {"plugin_sha256": plugins[attempt.attack]} if attempt.attack in plugins else {}
    return [replace(trial, settings={**trial.settings, **digest}) for trial in trials]


def _is_seen(one: Planned, trials: Sequence[Trial], run: Run, cast: Cast) -> bool:
    """Whether the light of a planted fault is as bad as it must be."""
    assert one.plant is not None
    question, site = cast.questions[one.attempt.question], one.attempt.view.site or run.observed.sites[0]
    try:
        reasons: list[Reason] = [
            reason for trial in trials if trial.possible for reason in question.reasons(site, trial, run)
        ]
    except BaseException as error:  # noqa: BLE001 - a stranger's question: nothing was seen
        failure(error)
        return False
    return any(WORST.index(light) >= WORST.index(one.plant.light) for light, _, _ in reasons)


def _power(plants: Mapping[str, Sequence[Plant]], sightings: Sequence[Sighting]) -> tuple[Power, ...]:
    """A row a fault and attack; of no attempt at all where an attack, or none, could be shown the fault."""
    rows: dict[tuple[str, str, str], list[bool]] = {}
    reasons: dict[tuple[str, str, str], str] = {}
    for one, was_seen, reason in sightings:
        assert one.plant is not None
        key = one.attempt.question, one.attempt.attack, one.plant.fault
        rows.setdefault(key, []).extend([] if reason else [was_seen])
        reasons[key] = reason or reasons.get(key, "")
    shown = {(question, fault) for question, _, fault in rows}
    lost = [(name, one.fault) for name, of in plants.items() for one in of if (name, one.fault) not in shown]
    return (
        *(Power(*key, sum(found), len(found), "" if found else reasons[key]) for key, found in rows.items()),
        *(Power(name, "", fault, 0, 0) for name, fault in dict.fromkeys(lost)),
    )


def _report(run: Run, about: Mapping[str, Any], effort: Effort, cast: Cast, found: Attacked) -> Report:
    """What the attacks found, judged; the seconds are still to be told."""
    study, trials = run.study, found.trials
    return Report(
        study=str(about["study"]),
        title=study.title,
        run=run.folder.resolve().name,
        model_sha256=str(about["model_sha256"]),
        seed=study.seed,
        seconds=0.0,
        thresholds=_limits(study.audit),
        claim=run.claim,
        trials=trials,
        verdicts=verdicts(run.observed.sites, trials, run, cast, found.power),
        not_tried=(*NOT_TRIED, *_not_audited(run.folder)),
        traffic=[asdict(kind) for kind in traffic_of(read_table(run.folder, "traffic.json")).kinds],
        parties=as_rows(parties_of(run.observed, run.claim, found.openings)),
        openings=found.openings,
        power=found.power,
        plugins=cast.plugins,
        command=_command(run, effort),
    )


def _not_audited(folder: Path) -> tuple[tuple[str, str], ...]:
    """Hospitals that took no part: they sent nothing that could be attacked, and nobody may take them for safe."""
    return tuple((problem.who, problem.sentence) for problem in Losses(read_run(folder)).hospitals)


def _limits(audit: Audit) -> dict[str, float]:
    """What the rules compare with; the seconds are part of the command."""
    return {name: value for name, value in asdict(audit).items() if isinstance(value, float) and name != "seconds"}


def _command(run: Run, effort: Effort) -> str:
    options = ["--pictures"] if effort.pictures else []
    options += ["--poisoning"] if effort.poisoning else []
    for word, names in (("--attack", effort.attacks), ("--question", effort.questions)):
        options += [part for name in names for part in (word, name)]
    options += [part for name in effort.adversaries for part in ("--adversary", name)]
    options += [] if effort.public is None else ["--public", str(effort.public)]
    options += [] if effort.release is None else ["--release", str(effort.release)]
    options += [] if effort.maps is None else ["--maps", str(effort.maps)]
    return shlex.join(["wardround", "audit", str(run.folder), "--seconds", f"{run.seconds:g}", *options])


def _about(folder: Path) -> Mapping[str, Any]:
    """What a finished run says of itself."""
    found = if_there(read_table, folder, "about.json", required=True)
    if found is None:
        raise StudyError(f"{folder} is no run folder: it has no about.json.")
    if found.get("state") != "completed":
        raise StudyError(f"{folder.name} did not complete; only a finished run is audited.")
    if not all(isinstance(found.get(key), str) for key in ("study", "model_sha256")):
        raise FileError(folder / "about.json", "does not say which study and model it is of")
    return found


def _check_hospitals(observed: Observation) -> None:
    """The study's data must still be there of the hospitals that took part: they are opened to score the attacks.

    Others may have been left out of the run.
    """
    sites = site_names(observed.study)
    if not set(observed.sites) <= set(sites):
        raise StudyError(
            f"the run was of {', '.join(observed.sites)}; the study's data are now of {', '.join(sites)}."
        )

"""A whole audit: observe, attack, score, judge. Truth is opened only to score what the attacks came up with."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from client.hospital import site_names
from common.errors import FileError, StudyError
from common.files.access import if_there
from common.files.json_files import read_table
from common.learning.abilities import no_case_loss
from common.learning.device import chosen, repeatable
from common.study.audit_settings import Audit
from experiments.audit.cheating_trials import cheating_trials
from experiments.audit.claims import claim_of
from experiments.audit.collusion import Collusion, collusions, hospitals_asked
from experiments.audit.collusion_trials import collusion_trials
from experiments.audit.difference_trials import difference_trials
from experiments.audit.epsilon_trials import epsilon_trials
from experiments.audit.inversion_trials import inversion_trials
from experiments.audit.label_trials import label_trials
from experiments.audit.membership import membership_trials
from experiments.audit.own_trials import own_trials
from experiments.audit.poisoning_trials import poisoning_trials
from experiments.audit.records import Claim, Kind, Opening, Report, Trial
from experiments.audit.robustness import robustness_trials
from experiments.audit.tried import tried
from experiments.audit.verdicts import verdicts
from experiments.audit.visibility import as_rows, parties_of
from experiments.evidence.observing import observe, sent_orders
from experiments.evidence.recomputed_updates import Orders
from experiments.observation import Observation
from server.reporting.folder import read_run
from server.reporting.losses import Losses
from server.reporting.parsing import traffic_of

Advance = Callable[[str], None]
Traffic = list[Mapping[str, Any]]
Attacked = tuple[tuple[Trial, ...], tuple[Opening, ...]]
"""All attempts, and what colluding hospitals opened."""
SHARES: Mapping[str, float] = {
    "reconstruction": 0.45,
    "collusion": 0.05,
    "membership": 0.25,
    "epsilon": 0.15,
    "labels": 0.03,
    "robustness": 0.07,
}
"""Of the study's `audit.seconds`, by kind of attack; the last has what the others left."""
NOT_TRIED = (
    (
        "other ways for the coordinator to cheat",
        "in this run it was honest; imprints were played where a network carries one, and two sums that differ by "
        "one hospital; neither other models made up nor hospitals made up nor other models for other hospitals",
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

    poisoning: whether small federations are run with a hospital that poisons, which takes a minute or more. attacks:
    by name, module or file, tried beside those of every audit, as long again as these try to rebuild data.
    """

    seconds: float | None = None
    pictures: bool = True
    poisoning: bool = False
    attacks: tuple[str, ...] = ()


def audit_run(folder: Path, effort: Effort, advance: Advance = lambda _: None) -> Report:
    """Attack a finished run of a simulation. Raises StudyError where it recorded no traffic or did not complete."""
    torch.set_num_threads(1)
    begin = perf_counter()
    advance("reading what the coordinator saw")
    about, observed, orders, traffic = _about(folder), observe(folder), sent_orders(folder), _traffic(folder)
    _check_hospitals(observed)
    claim = claim_of(observed.study, folder, hospitals_asked(observed, orders), observed.sites)
    effort = replace(effort, seconds=observed.study.audit.seconds if effort.seconds is None else effort.seconds)
    with repeatable(chosen()):
        attacked = _attacked(observed, orders, claim, effort, advance)
    report = _report(folder, about, observed, claim, attacked, effort, traffic)
    return replace(report, seconds=perf_counter() - begin)


def _report(
    folder: Path,
    about: Mapping[str, Any],
    observed: Observation,
    claim: Claim,
    attacked: Attacked,
    effort: Effort,
    traffic: Traffic,
) -> Report:
    """What the attacks found, judged; the seconds are still to be told."""
    (trials, openings), study = attacked, observed.study
    return Report(
        study=str(about["study"]),
        title=study.title,
        run=folder.resolve().name,
        model_sha256=str(about["model_sha256"]),
        seed=study.seed,
        seconds=0.0,
        thresholds=_limits(study.audit),
        claim=claim,
        trials=trials,
        verdicts=verdicts(observed.sites, claim, trials, study.audit, no_case_loss(study.build_task())),
        not_tried=(*NOT_TRIED, *_not_audited(folder)),
        traffic=traffic,
        parties=as_rows(parties_of(observed, claim, openings)),
        openings=openings,
        command=_command(folder, effort),
    )


def _not_audited(folder: Path) -> tuple[tuple[str, str], ...]:
    """Hospitals that took no part: they sent nothing that could be attacked, and nobody may take them for safe."""
    return tuple((problem.who, problem.sentence) for problem in Losses(read_run(folder)).hospitals)


def _attacked(observed: Observation, orders: Orders, claim: Claim, effort: Effort, advance: Advance) -> Attacked:
    """By those who keep to the protocol, by colluders, by a coordinator that cheats, and by poisoners."""
    seconds = effort.seconds or 0.0
    found = own_trials(observed, effort.attacks, seconds * SHARES["reconstruction"], advance, effort.pictures)
    found += _trials(observed, seconds, effort.pictures, advance)
    found += difference_trials(observed, orders, claim, advance)
    played, share = _colluding(observed, orders, claim, advance), seconds * SHARES["collusion"]
    if played:
        found += tried(
            observed, "matching", "reconstruction", lambda: collusion_trials(played, share, advance, effort.pictures)
        )
    found += tried(
        observed, "imprint", "reconstruction", lambda: cheating_trials(observed, orders, advance, effort.pictures)
    )
    found += poisoning_trials(observed.study, advance) if effort.poisoning else []
    return tuple(found), tuple(one.opening for one in played)


def _trials(observed: Observation, seconds: float, pictures: bool, advance: Advance) -> list[Trial]:
    study, confidence = observed.study, observed.study.audit.confidence
    begin, share = perf_counter(), {kind: seconds * part for kind, part in SHARES.items()}
    if observed.singles:
        share["reconstruction"] += share["collusion"]
    found = inversion_trials(observed, share["reconstruction"], advance, pictures)
    attempts: tuple[tuple[str, Kind, Callable[[], Iterable[Trial]]], ...] = (
        (
            "loss_threshold",
            "membership",
            lambda: membership_trials(observed, confidence, share["membership"], advance),
        ),
        (
            "gradient_canaries",
            "epsilon",
            lambda: epsilon_trials(study, observed.sites, confidence, share["epsilon"], advance),
        ),
        ("label_counts", "labels", lambda: label_trials(observed, share["labels"], advance)),
    )
    for name, kind, attempt in attempts:
        found += tried(observed, name, kind, attempt)
    left = seconds - share["collusion"] - (perf_counter() - begin)
    most = max(left, share["robustness"])
    return found + tried(observed, "pgd", "robustness", lambda: robustness_trials(observed, most, advance))


def _colluding(observed: Observation, orders: Orders, claim: Claim, advance: Advance) -> tuple[Collusion, ...]:
    """None where the coordinator reads every update alone."""
    if claim.reveals == "each":
        return ()
    advance("playing hospitals that collude")
    return collusions(observed, orders, claim)


def _limits(audit: Audit) -> dict[str, float]:
    """What the rules compare with; the seconds are part of the command."""
    return {name: value for name, value in asdict(audit).items() if isinstance(value, float) and name != "seconds"}


def _command(folder: Path, effort: Effort) -> str:
    options = [] if effort.pictures else ["--no-pictures"]
    options += ["--poisoning"] if effort.poisoning else []
    options += [word for name in effort.attacks for word in ("--attack", name)]
    return shlex.join(["wardround", "audit", str(folder), "--seconds", f"{effort.seconds:g}", *options])


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


def _traffic(folder: Path) -> Traffic:
    """By kind of message, as the page shows it."""
    kinds = traffic_of(read_table(folder, "traffic.json")).kinds
    return [asdict(kind) for kind in kinds]

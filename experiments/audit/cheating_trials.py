"""What a cheating coordinator came up with, and which of its models hospitals refuse, as trials of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

from common.data.cases import SiteId
from common.errors import StudyError, WardroundError
from experiments.audit.cheating import BINS, BLUR, HIGHEST, LOWEST, ORDERS, Cheat, carrier_of, cheats
from experiments.audit.inversion_trials import scored
from experiments.audit.records import Trial
from experiments.evidence.ground_truth import Truth, all_cases
from experiments.evidence.recomputed_updates import Orders
from experiments.observation import Observation

NAMES = {False: "imprint", True: "blurred imprint"}
QUESTION = "Does a hospital answer to a model that was made to copy its patients' data, and what comes back?"
KNOWLEDGE = "every setting of the study, and what hospitals answer to models that the coordinator made up"
SOURCE = "Fowl et al. 2022, Robbing the Fed; thresholds without knowledge of the data and the blur are our own"


def cheating_trials(
    observed: Observation, orders: Orders, advance: Callable[[str], None], pictures: bool = True
) -> list[Trial]:
    """Two a hospital where the coordinator reads each alone, else two on the sum of all; one that says why not."""
    asked = sorted({site for _, site in orders})
    if not asked:
        return [_trial("", "imprint", reason="no hospital was ever asked to train")]
    try:
        carrier_of(observed)
    except StudyError as error:
        return [_trial("", "imprint", reason=str(error).rstrip("."))]
    groups = [[site] for site in asked] if observed.singles else [asked]
    everybody, trials = all_cases(observed.study, observed.sites), []
    for group in groups:
        site = group[0] if len(group) == 1 else ""
        advance(f"a cheating coordinator {site}")
        trials += _of_group(group, site, observed, orders, everybody, pictures)
    return trials


def _of_group(
    group: list[SiteId], site: SiteId, observed: Observation, orders: Orders, everybody: Truth, pictures: bool
) -> list[Trial]:
    begin = perf_counter()
    try:
        played = cheats(observed, orders, group)
    except WardroundError as error:
        return [_trial(site, "imprint", reason=str(error).rstrip("."))]
    spent = (perf_counter() - begin) / len(played)
    return [_of_cheat(one, site, observed, everybody, pictures, spent) for one in played]


def _of_cheat(
    one: Cheat, site: SiteId, observed: Observation, everybody: Truth, pictures: bool, seconds: float
) -> Trial:
    begin = perf_counter()
    figures, rebuilt = scored(
        replace(observed, study=one.study), [one.back], everybody, pictures, 2 * len(observed.sites)
    )
    settings = {
        "own_study": one.own_study,
        "sends": one.work.sends,
        "blur": BLUR if one.blurred else 0.0,
        "orders": ORDERS,
        "range": [LOWEST, HIGHEST],
        "units": BINS if one.own_study else "as the study says",
        "hospitals": list(one.back.sites),
        "refused": one.refused,
    }
    trial = _trial(site, NAMES[one.blurred], seconds=seconds + perf_counter() - begin)
    return replace(trial, figures=figures, rebuilt=rebuilt, settings=settings)


def _trial(site: SiteId, name: str, *, reason: str = "", seconds: float = 0.0) -> Trial:
    return Trial(
        name,
        "reconstruction",
        "cheating",
        site,
        QUESTION,
        KNOWLEDGE,
        SOURCE,
        possible=not reason,
        reason=reason,
        seconds=seconds,
    )

"""Which attack is tried on which adversary's view, and how much of the seconds it has; why not, said beforehand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any

from common.data.cases import SiteId
from common.errors import WardroundError, first_line
from experiments.access import NEEDS, Access, Need
from experiments.adversary import Adversary, View
from experiments.attack import Attack, Sees, declared
from experiments.audit.cast import Cast
from experiments.audit.records import FAILED
from experiments.audit.run import HANDED, Run
from experiments.audit.strangers import as_before, checked_views
from experiments.observation import Observation
from experiments.question import Attempt, Plant

NAMED = 8.0
"""Times the share of any other: of an attack that was named for this audit."""
PLANTS = 1 / 3
"""Of a question's seconds, where it plants faults."""
LACKS: Mapping[Sees, str] = {
    "each": "it needs what single hospitals sent, and nobody could read that",
    "sum": "it needs updates or sums of them, and nobody could read any",
    "models": "it needs the models of several rounds, and there is only one",
    "model": "no model was read",
}
FROM_ACCESS: Mapping[Need, str] = {
    "candidates": "there is nobody whom it could be asked about: no hospital keeps patients for tests",
    "population": "there are no cases of others, of whom nobody was trained on",
    "answers": "hospitals cannot be asked anything here",
    "training": "there is no private training to be done again",
    "tests": "no hospital has test cases",
    "federation": "it takes federations of its own; `wardround audit RUN --poisoning` runs them",
    "public": "no public set was named; `wardround audit RUN --public FILE` names one",
    "release": "no release was named; `wardround audit RUN --release FILE` names one",
    "maps": "no answer of maps was named; `wardround audit RUN --maps FOLDER` names one",
    "recomputed": "what hospitals sent cannot be computed again here",
}
USED_UP = "the seconds of the audit were used up before it"


@dataclass(frozen=True)
class Planned:
    """One attempt. weight: of the seconds that are left, beside those that follow. plant: the fault that it is shown,
    for the so-manyth time. reason: why it is not possible; then nothing is run.
    """

    attack: Attack
    attempt: Attempt
    weight: float
    plant: Plant | None = None
    repeat: int = 0
    reason: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """What its random numbers are drawn by."""
        attempt = self.attempt
        by = () if not attempt.condition else (attempt.adversary,)
        planted = () if self.plant is None else ("planted", self.plant.fault, str(self.repeat))
        return ("audit", *by, attempt.attack, attempt.view.site, *planted)


def seen(cast: Cast, run: Run) -> dict[str, tuple[View, ...]]:
    """What each adversary has before it; where one fails, a view that says so."""
    return {name: _views(adversary, run) for name, adversary in cast.adversaries.items()}


def _views(adversary: Adversary, run: Run) -> tuple[View, ...]:
    try:
        with as_before():
            return checked_views(tuple(adversary.views(run)))
    except BaseException as error:  # noqa: BLE001 - a stranger's, or ours on a stranger's study
        return (View(run.observed, reason=failure(error), settings={FAILED: True}),)


def failure(error: BaseException) -> str:
    """One line, as a trial says it, of whatever somebody's code ended with; but an audit may be interrupted."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    line = first_line(error).rstrip(".") if str(error) else "without a word"
    return line if isinstance(error, WardroundError) else f"it failed: {type(error).__name__}: {line}"


def planned(
    cast: Cast, views: Mapping[str, Sequence[View]], plants: Mapping[str, Sequence[Plant]], run: Run
) -> list[Planned]:
    """All attempts, by question, the quickest first; those that are not possible among them, with why."""
    found = _counted([one for name in cast.attacks for one in _of_attack(name, cast, views, run)])
    found += [one for name, planted in plants.items() for one in _of_plants(name, planted, cast)]
    place = {name: number for number, (name, _) in enumerate(cast.in_order())}
    found.sort(key=lambda one: (one.plant is not None, place[one.attempt.question], one.weight))
    return _shared(found, cast)


def _counted(found: Sequence[Planned]) -> list[Planned]:
    """With how many tries there are at the same question, by the same adversary and by all."""
    made = [one.attempt for one in found if not one.reason]
    by, of_all = Counter((one.adversary, one.question) for one in made), Counter(one.question for one in made)
    counts = ((by[one.attempt.adversary, one.attempt.question], of_all[one.attempt.question]) for one in found)
    return [
        replace(one, attempt=replace(one.attempt, tries=max(1, tries), tries_of_all=max(1, every)))
        for one, (tries, every) in zip(found, counts, strict=True)
    ]


def _of_attack(name: str, cast: Cast, views: Mapping[str, Sequence[View]], run: Run) -> Iterator[Planned]:
    attack, question = cast.attacks[name], cast.question_of(name)
    if question not in cast.questions:
        return
    made = False
    for by in _makers(name, cast, views):
        fit = [view for view in views[by] if not view.reason and not _lacks(attack, view.observed)]
        for view in _why_not(attack, views[by], bool(fit)):
            made = True
            yield _impossible(name, by, view, view.reason, cast)
        for view in fit:
            made = True
            for part, share in _parts(attack, view, run):
                weight = share * _share(cast.adversaries[by]) * (NAMED if name in cast.asked else 1.0)
                yield Planned(attack, _attempt(name, by, part, cast), weight)
    if not made:
        by, view = _most(cast, views)
        yield _impossible(name, by, view, _why_nobody(name, attack, cast, views), cast)


def _why_not(attack: Attack, views: Sequence[View], is_made: bool) -> list[View]:
    """Those that say why it is not made: of single hospitals beside others, or where it is not made at all."""
    beside = declared(attack, "per") == "site"
    return [view for view in views if view.reason and (not is_made or (view.site and beside))]


def _makers(name: str, cast: Cast, views: Mapping[str, Sequence[View]]) -> list[str]:
    """The weakest of those who keep to the protocol and see as much as any of them; others where they see more."""
    attack = cast.attacks[name]
    able: dict[str, float] = {}
    told = []
    for by, adversary in cast.adversaries.items():
        only = tuple(getattr(adversary, "only", None) or ())
        if only and name not in only and name not in cast.asked:
            continue
        fit = [view for view in views[by] if not view.reason and not _lacks(attack, view.observed)]
        if fit:
            able[by] = min(_exposed(view.observed, attack) for view in fit)
        elif any(view.reason for view in views[by]) and (name in only or _given(attack, adversary)):
            told.append(by)
    honest = [by for by in able if not cast.adversaries[by].condition and by not in cast.asked]
    best = min((able[by] for by in honest), default=inf)
    weakest = sorted((by for by in honest if able[by] == best), key=lambda by: _strength(views[by]))[:1]
    return [*weakest, *(by for by in able if by not in honest and (able[by] < best or by in cast.asked)), *told]


def _given(attack: Attack, adversary: Adversary) -> bool:
    """Whether what it needs is this adversary's to give, and nobody's who only looks."""
    needs, gives = set(declared(attack, "needs")), set(getattr(adversary, "gives", None) or ())
    return bool(needs) and needs <= gives


def _lacks(attack: Attack, observed: Observation) -> str:
    """What it needs and is not there, in words; "" where nothing is lacking."""
    sees: Sees = attack.sees
    there = {
        "each": bool(observed.singles),
        "sum": bool(observed.singles or observed.sums),
        "models": len(observed.models) > 1,
        "model": bool(observed.models),
    }
    if not there[sees]:
        return LACKS[sees]
    return next((FROM_ACCESS[need] for need in declared(attack, "needs") if not observed.access.has(need)), "")


def _exposed(observed: Observation, attack: Attack) -> float:
    """How many hospitals are in the least that is read of updates, as far as the attack makes use of it."""
    uses: Sees = declared(attack, "uses")
    if uses in ("each", "sum") and (observed.singles or observed.sums):
        return min([*(1 for _ in observed.singles), *(len(one.sites) for one in observed.sums)])
    return 1e6 if uses != "model" and len(observed.models) > 1 else 1e9


def _strength(views: Sequence[View]) -> tuple[bool, int, int]:
    """Whether it does more than look at a run, how many updates it reads, and how many models."""
    found = [view.observed for view in views if not view.reason]
    does = any(one.access.has(need) for one in found for need in NEEDS if need not in HANDED)
    return does, *max((len(one.singles) + len(one.sums), len(one.models)) for one in found)


def _parts(attack: Attack, view: View, run: Run) -> Iterator[tuple[View, float]]:
    """The view hospital by hospital, or whole, each with the share of the attack in it."""
    share, sites = _number(declared(attack, "share")), _sites(attack, view)
    if not sites:
        yield view, share
        return
    smallest = min(sites, key=lambda site: (run.observed.cases.get(site, 0), site))
    elsewhere = _number(declared(attack, "elsewhere"), least=0.0)
    for site in sorted(sites, key=lambda site: (site != smallest, site)):
        if site == smallest or elsewhere > 0:
            yield (
                replace(view, observed=_of_site(view.observed, site), site=site),
                share if site == smallest else elsewhere,
            )


def _sites(attack: Attack, view: View) -> list[SiteId]:
    if view.site or declared(attack, "per") != "site":
        return []
    for need in declared(attack, "needs"):
        given = getattr(view.observed.access, need)
        if isinstance(given, Mapping):
            return sorted(given)
    return sorted({single.site for single in view.observed.singles})


def _of_site(observed: Observation, site: SiteId) -> Observation:
    """What is seen of one hospital alone."""
    access = observed.access
    own: dict[str, Any] = {
        name: {site: found[site]} if site in found else {}
        for name, found in vars(access).items()
        if isinstance(found, Mapping)
    }
    singles = tuple(one for one in observed.singles if one.site == site)
    narrowed: Access = replace(access, **own)
    return replace(observed, singles=singles, sums=() if singles else observed.sums, access=narrowed)


def _most(cast: Cast, views: Mapping[str, Sequence[View]]) -> tuple[str, View]:
    """Whoever keeps to the protocol and sees most."""
    able = [by for by in views if not cast.adversaries[by].condition and any(not view.reason for view in views[by])]
    if not able:
        by = next(iter(views))
        return by, views[by][0]
    by = max(able, key=lambda by: (not _strength(views[by])[0], _strength(views[by])))
    return by, next(view for view in views[by] if not view.reason)


def _why_nobody(name: str, attack: Attack, cast: Cast, views: Mapping[str, Sequence[View]]) -> str:
    failed = [view.reason for of in views.values() for view in of if view.settings.get(FAILED)]
    return "; ".join([_lacks(attack, _most(cast, views)[1].observed) or "no adversary plays it", *failed])


def _impossible(name: str, by: str, view: View, reason: str, cast: Cast) -> Planned:
    return Planned(cast.attacks[name], _attempt(name, by, view, cast), 0.0, reason=reason)


def _attempt(name: str, by: str, view: View, cast: Cast) -> Attempt:
    adversary = cast.adversaries[by]
    condition = view.condition or (f"{adversary.condition}," if adversary.condition else "")
    source = str(cast.attacks[name].source)
    return Attempt(name, source, by, view, question=cast.question_of(name), condition=condition)


def _of_plants(question: str, plants: Sequence[Plant], cast: Cast) -> Iterator[Planned]:
    for plant in plants:
        for name, attack in cast.attacks.items():
            asked = cast.question_of(name) == question and (not plant.attacks or name in plant.attacks)
            if asked and not _lacks(attack, plant.view.observed):
                attempt = Attempt(name, str(attack.source), "", plant.view, question=question)
                weight = _number(declared(attack, "share")) / max(1, plant.repeats)
                yield from (Planned(attack, attempt, weight, plant, k) for k in range(plant.repeats))


def _shared(found: Sequence[Planned], cast: Cast) -> list[Planned]:
    """With weights that give each question its share, and planted faults theirs of it."""
    total: dict[tuple[str, bool], float] = defaultdict(float)
    for one in found:
        total[one.attempt.question, one.plant is not None] += one.weight
    shared = []
    for one in found:
        question, is_planted = one.attempt.question, one.plant is not None
        part = _share(cast.questions[question])
        if total[question, True]:
            part *= PLANTS if is_planted else 1 - PLANTS
        shared.append(replace(one, weight=part * one.weight / (total[question, is_planted] or 1.0)))
    return shared


def _share(of: object) -> float:
    return _number(getattr(of, "share", 1.0))


def _number(value: object, least: float = 1e-6) -> float:
    """A stranger's share, as a number that can be divided by."""
    number = float(value) if isinstance(value, (int, float)) else 1.0
    return max(number, least) if isfinite(number) else 1.0

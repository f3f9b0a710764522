"""Which rules of a hospital's policy a study breaks: asked when people approve it, and again on every message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from client.hospital import Hospital, site_names
from client.policy import Policy, RequiredNoise
from client.privacy_limit import Limit
from common.errors import RefusedError, SourceError, StudyError
from common.privacy.abilities import fixed_noise, promised_epsilon
from common.privacy.accounting import epsilon_of
from common.privacy.mechanism import Facts, Mechanism
from common.privacy.noise_coverage import covers
from common.privacy.release import Release, Unit
from common.privacy.study_facts import facts_of, mechanism_of
from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.study.own_weights import tasks_of
from common.study.study import Study, parse_json
from common.study.trust import is_coordinator, noise_maker, trusted
from common.sums.abilities import keys_of
from common.sums.cohorts import Cohorts, is_covered_by_noise, reveals
from common.wire.refusals import BY_POLICY

HIDES: dict[Unit, frozenset[Unit]] = {
    "hospital": frozenset(("hospital", "patient", "sample")),
    "patient": frozenset(("patient", "sample")),
    "sample": frozenset(("sample",)),
}
"""Whom else a promise of a unit hides."""
ROUNDING = 1 + 1e-9
MOST_KEPT = 64


@dataclass(frozen=True)
class Broken:
    """word: of `common.wire.refusals`. sentence: for this hospital's own people, with what was demanded."""

    word: str
    sentence: str


def broken(study: Study, policy: Policy) -> tuple[Broken, ...]:
    """All rules that a study breaks, as far as can be told without this hospital's data."""
    rules: tuple[Callable[[Study, Policy], Iterator[Broken]], ...] = (
        _names,
        _sums,
        _cohort,
        _noise,
        _person,
        _scores,
        _questions,
    )
    return tuple(one for rule in rules for one in rule(study, policy))


def refuse_broken(study_json: str, policy: Policy) -> None:
    """Raise RefusedError with the first rule that a study breaks, in this hospital's own words for its log."""
    if policy.judges:
        _refuse(_kept(_Asked(study_json, policy, repr(policy))))


def refuse_weak_noise(hospital: Hospital, policy: Policy) -> None:
    """Raise RefusedError where the study's promise, worked out from this hospital's own numbers, is too weak."""
    required, mechanism = policy.required_noise, mechanism_of(hospital.study)
    if required is None or mechanism is None or not hospital.study.rounds or not hospital.sizes("train")[0]:
        return
    patients, cases = hospital.sizes("train")
    facts = facts_of(hospital.study, patients, cases, len(hospital.roster), hospital.site)
    _refuse(tuple(_too_little(mechanism, facts, required)))


def _refuse(found: tuple[Broken, ...]) -> None:
    for one in found:
        assert one.word in BY_POLICY
        raise RefusedError(one.word, one.sentence)


@dataclass(frozen=True)
class _Asked:
    """A study under a policy, each known by its text."""

    study_json: str
    policy: Policy
    policy_text: str

    def __hash__(self) -> int:
        return hash((self.study_json, self.policy_text))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and (self.study_json, self.policy_text) == (
            other.study_json,
            other.policy_text,
        )


@lru_cache(maxsize=MOST_KEPT)
def _kept(asked: _Asked) -> tuple[Broken, ...]:
    return broken(parse_json(asked.study_json), asked.policy)


def _names(study: Study, policy: Policy) -> Iterator[Broken]:
    tasks = tasks_of(study.task)
    chosen = {
        "strategies": (policy.strategies, study.strategy.name),
        "networks": (policy.networks, _name_of(tasks[-1].options.get("network"))),
    }
    asked = [("tasks", (policy.tasks, entry.name)) for entry in tasks]
    asked += [("analyses", (policy.analyses, entry.name)) for entry in study.analyses]
    for rule, (permitted, name) in (*chosen.items(), *asked):
        if permitted is not None and name is not None and name not in permitted:
            yield Broken(rule, f"{rule} = {list(permitted)}, and the study chooses {name!r}.")


def _name_of(entry: object) -> str | None:
    """Of an entry as a study names it; None of a task without."""
    if isinstance(entry, Entry):
        return entry.name
    name = entry.get("name") if isinstance(entry, dict) else entry
    return name if isinstance(name, str) else None


def _sums(study: Study, policy: Policy) -> Iterator[Broken]:
    """A sum hides nobody where one party can open any, or where two of them may differ by one hospital."""
    if not policy.required_sums:
        return
    if reveals(study) == "each":
        yield Broken(
            "sums",
            f"required_sums, and aggregation {study.aggregation.name!r} shows the coordinator every single update.",
        )
        return
    permitted = noise_maker(study) if policy.required_noise and policy.required_noise.trusts_coordinator else None
    for one in trusted(study):
        if is_coordinator(one) and one != permitted:
            yield Broken("sums", f"required_sums, and the study trusts {one.who}: {one.with_what} {one.remedy}")


def _cohort(study: Study, policy: Policy) -> Iterator[Broken]:
    """Of the roster: how many its source or its partition would make up is no number of hospitals."""
    of_sums = policy.least_in_sum if reveals(study) == "sum" else 1
    least = max(policy.least_cohort, of_sums)
    if least <= 1:
        return
    rule = f"least_cohort = {policy.least_cohort}" if policy.least_cohort >= of_sums else f"least_in_sum = {of_sums}"
    if policy.least_cohort > 1 and not study.federation.names:
        yield Broken("cohort", f"{rule}, and the study does not name its hospitals (federation.roster).")
        return
    try:
        smallest = Cohorts.of(study, study.federation.names or site_names(study)).smallest
    except (StudyError, SourceError):  # it runs nowhere, and says why itself
        return
    if smallest < least:
        yield Broken("cohort", f"{rule}, and a round of the study may ask {smallest} hospitals.")


def _noise(study: Study, policy: Policy) -> Iterator[Broken]:
    """What the study says itself; what it comes to in this hospital is worked out where the data are."""
    required, mechanism = policy.required_noise, mechanism_of(study)
    if required is None or not study.rounds:
        return
    if mechanism is None:
        yield Broken("noise", "required_noise, and the study adds none.")
        return
    if not covers(mechanism):
        yield Broken("noise", "required_noise, and the study's is so little that it bounds nothing.")
    if required.unit not in HIDES[mechanism.unit]:
        yield Broken("noise", f"required_noise.unit = {required.unit!r}, and the study hides a {mechanism.unit}.")
    if mechanism.place == "server" and not required.trusts_coordinator:
        yield Broken(
            "noise",
            "required_noise, and the coordinator adds the study's noise (trusts_coordinator = true would permit it).",
        )
    yield from _said_too_little(mechanism, required)


def _said_too_little(mechanism: Mechanism, required: RequiredNoise) -> Iterator[Broken]:
    epsilon, noise = promised_epsilon(mechanism), fixed_noise(mechanism)
    most, said = required.epsilon, None if mechanism.delta < required.delta else epsilon
    if most is not None and said is not None and said > most * ROUNDING:
        yield Broken("noise", f"required_noise.epsilon = {required.epsilon:g}, and the study's is {epsilon:g}.")
    if required.noise_multiplier is not None and noise is not None and noise * ROUNDING < required.noise_multiplier:
        yield Broken(
            "noise", f"required_noise.noise_multiplier = {required.noise_multiplier:g}, and the study's is {noise:g}."
        )


def _too_little(mechanism: Mechanism, facts: Facts, required: RequiredNoise) -> Iterator[Broken]:
    releases = mechanism.round_releases(facts)
    if required.noise_multiplier is not None:
        least = min((release.noise_multiplier for release in releases), default=0.0)
        if least * ROUNDING < required.noise_multiplier:
            yield Broken("noise", f"required_noise.noise_multiplier, and here the study's noise is {least:.4g}.")
    if required.epsilon is not None:
        epsilon = _epsilon(tuple(releases), facts.rounds, required.delta)
        if epsilon > required.epsilon * (1 + 1e-6):
            yield Broken(
                "noise",
                f"required_noise.epsilon = {required.epsilon:g} at delta {required.delta:g}, and here the study "
                f"costs {epsilon:.4g}.",
            )


@lru_cache(maxsize=MOST_KEPT)
def _epsilon(releases: tuple[Release, ...], rounds: int, delta: float) -> float:
    return epsilon_of((replace(one, steps=one.steps * rounds) for one in releases), delta).epsilon


def _person(study: Study, policy: Policy) -> Iterator[Broken]:
    """Of a study that says its epsilon: it would be stopped on the way, at the ledger, having cost what it could.

    One that trains without noise costs without bound, and no ledger would stop it.
    """
    limit, mechanism = policy.largest_epsilon_a_person, mechanism_of(study)
    if limit is not None and mechanism is None and study.rounds:
        yield Broken(
            "person", f"largest_epsilon_a_person = {_said(limit)}, and without noise a study costs without bound."
        )
    epsilon = None if mechanism is None else promised_epsilon(mechanism)
    if limit is None or mechanism is None or epsilon is None or mechanism.unit == "sample":
        return
    if epsilon > limit.epsilon * ROUNDING and mechanism.delta >= limit.delta:
        yield Broken("person", f"largest_epsilon_a_person = {_said(limit)}, and this study alone costs {epsilon:g}.")


def _said(limit: Limit) -> str:
    return f"{limit.epsilon:g} at delta {limit.delta:g}"


def _scores(study: Study, policy: Policy) -> Iterator[Broken]:
    if policy.own_scores:
        return
    if reveals(study) == "each":
        yield Broken("scores", f"own_scores = false, and {study.aggregation.name!r} shows each hospital's scores.")
    elif (keys := keys_of(AGGREGATIONS.build(study.aggregation))) is None:
        yield Broken("scores", f"own_scores = false, and {study.aggregation.name!r} does not say who holds its keys.")
    elif keys == "shared" or study.federation.groups == "off":
        yield Broken("scores", "own_scores = false, and a sum of scores may be of this hospital, or differ by it.")
    elif study.rounds and study.federation.evaluate_every and is_covered_by_noise(study):
        yield Broken(
            "scores",
            "own_scores = false, and where noise lets sums of any hospitals be opened, two differ by one hospital's "
            "scores, which carry none. federation.evaluate_every = 0 scores the last model alone, by whole groups.",
        )
    elif study.baselines.local:
        yield Broken("scores", "own_scores = false, and baselines.local asks for scores of a model of its own.")


def _questions(study: Study, policy: Policy) -> Iterator[Broken]:
    """Of what the study lists; what is asked beside is weighed when it comes."""
    if not study.analyses:
        return
    from client.asking.decision import exact_tables
    from common.asking.differences import undeclared
    from common.asking.levels import levels_of

    levels = levels_of(study)
    try:
        tables = exact_tables(study, levels)
        found = undeclared(tables, levels)
    except StudyError as error:
        yield Broken("difference", f"its questions cannot be checked together: {error}")
        return
    if tables and study.privacy is not None:
        yield Broken("noise", f"the study promises privacy, and {tables[0].name!r} is answered without noise.")
    bounded = policy.required_noise is not None or policy.largest_epsilon_a_person is not None
    if tables and (bounded or not policy.questions.exact):
        rule = "questions.exact = false" if not policy.questions.exact else "noise is required of whatever is told"
        yield Broken("noise", f"{rule}, and {tables[0].name!r} is answered as it is.")
    for one in found:
        yield Broken("difference", f"its questions together tell of {one.rows}, and no question of it is of these.")

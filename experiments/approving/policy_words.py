"""A hospital's policy in plain sentences, and whether a study fits it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from client.policy import POLICY_FILE, Policy, RequiredNoise, read_limits, read_policy
from client.policy_rules import broken
from client.privacy_limit import LIMIT_FILE, Limit
from common.files.access import is_there
from common.privacy.study_facts import mechanism_of
from common.study.study import Study


def policy_sentences(folder: Path) -> Sequence[str]:
    """What this hospital's own rules are. Raises as `read_policy`."""
    policy = read_policy(folder)
    there = f"{folder / POLICY_FILE}:" if is_there(folder, POLICY_FILE) else f"There is no {folder / POLICY_FILE}."
    return (there, *_sentences(policy), *_limits(policy, read_limits(folder)))


def fits(study: Study, folder: Path) -> tuple[Sequence[str], bool]:
    """Sentences, and whether the policy permits the study. Within `trusting` of the policy."""
    policy = read_policy(folder)
    found = broken(study, policy)
    if found:
        return [f"This study is refused: {one.sentence}" for one in found], False
    said = ["This study fits the policy."]
    if policy.hours:
        said.append(f"It is served at {_hours(policy)} only; a round that began may end.")
    required, mechanism = policy.required_noise, mechanism_of(study)
    if required is not None and mechanism is not None and required.epsilon is not None:
        said.append("What it costs here is worked out from the numbers of persons, and held to required_noise again.")
    return said, True


def _sentences(policy: Policy) -> Iterator[str]:
    for rule in ("tasks", "strategies", "networks", "analyses"):
        permitted = getattr(policy, rule)
        yield f"A study may choose any of {rule}." if permitted is None else _only(rule, permitted)
    if policy.least_cohort > 1:
        yield f"A round must ask {policy.least_cohort} hospitals or more, of a roster that the study names."
    if policy.least_in_sum > 1:
        yield f"It helps to open sums of {policy.least_in_sum} hospitals or more, whatever the study says."
    yield (
        "A study must reveal sums alone."
        if policy.required_sums
        else "A study may show the coordinator single updates (required_sums = false)."
    )
    yield from _noise(policy.required_noise)
    yield (
        "Its own scores may be told, where a study does so."
        if policy.own_scores
        else "Its own scores are never told: only sums of several hospitals' scores leave."
    )
    yield from _questions(policy)
    yield from _devices(policy)
    yield (
        f"It computes at {_hours(policy)}; a round that began may end."
        if policy.hours
        else "It computes at any hour."
    )
    yield _plugins(policy)


def _only(rule: str, permitted: Sequence[str]) -> str:
    return f"Of {rule} a study may choose {', '.join(permitted)} alone." if permitted else f"No {rule} are permitted."


def _hours(policy: Policy) -> str:
    return f"{policy.hours} ({policy.time_zone or 'the time zone of this machine'})"


def _noise(required: RequiredNoise | None) -> Iterator[str]:
    if required is None:
        yield "A study need not add noise (required_noise is not given)."
        return
    parts = [f"hides one {required.unit} or more"]
    if required.epsilon is not None:
        parts.append(f"costs epsilon {required.epsilon:g} at most, at delta {required.delta:g}")
    if required.noise_multiplier is not None:
        parts.append(f"has a noise_multiplier of {required.noise_multiplier:g} or more")
    if not required.trusts_coordinator:
        parts.append("is added by hospitals, not by the coordinator")
    yield f"A study that trains must add noise that {', '.join(parts)}."


def _questions(policy: Policy) -> Iterator[str]:
    rules = policy.questions
    bounded = policy.required_noise is not None or policy.largest_epsilon_a_person is not None
    yield (
        "Questions are answered as they are where the approved study lists them, and with noise where it says so."
        if rules.exact and not bounded
        else "Questions are answered with noise only, whatever a study lists."
    )
    yield (
        "Questions that no approved study lists are answered with noise, of epsilon "
        f"{rules.largest_epsilon:g} at most each (questions.free)."
        if rules.free
        else "Questions that no approved study lists are refused (questions.free = false)."
    )
    if rules.most is not None:
        yield f"Of the same data {rules.most} different questions are answered at most."
    yield f"A question has groups of {rules.least_cell} persons or more on average, by the number of persons here."
    if rules.columns is not None:
        yield f"Questions read the columns {', '.join(rules.columns)} alone." if rules.columns else "They read none."
    if rules.since:
        yield f"Exact answers of before {rules.since} are forgotten: later ones may differ from them by few persons."


def _devices(policy: Policy) -> Iterator[str]:
    if policy.device is not None:
        yield f"It computes on {policy.device}."
    if policy.devices is not None:
        yield f"It computes on no device but {', '.join(policy.devices)}."


def _plugins(policy: Policy) -> str:
    if not policy.plugins:
        return "No code of others is imported."
    named = (f"{module} ({digest[:12] if digest else 'any version'})" for module, digest in policy.plugins.items())
    return f"Code of others may be imported: {', '.join(named)}."


def _limits(policy: Policy, limits: Sequence[Limit]) -> Iterator[str]:
    if not limits:
        yield "What all studies together cost one person is written down, and nothing is stopped."
    refused = policy.largest_epsilon_a_person is not None
    unbounded = "they are refused" if refused else "they are not in it"
    for limit in limits:
        yield (
            f"All studies together may cost one person epsilon {limit.epsilon:g} at most, at delta {limit.delta:g} "
            f"(largest_epsilon_a_person or {LIMIT_FILE}); studies without noise cost without bound: {unbounded}."
        )

"""From findings to a light for each hospital, by rules that name themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from common.data.cases import SiteId
from common.study.audit_settings import Audit
from experiments.attack import UNTRIED
from experiments.audit.difference_rules import differences
from experiments.audit.records import CHANCE, Claim, Light, Reason, Rebuilt, Topic, Trial, Verdict
from experiments.audit.tried import FAILED

WORST: tuple[Light, ...] = ("green", "amber", "red")
OBSERVED: dict[str, Topic] = {"colluding": "colluding", "cheating": "cheating"}
TOPICS: dict[str, Topic] = {
    "differences": "readers",
    "membership": "members",
    "epsilon": "epsilon",
    "labels": "readers",
}

SUM = "Make the coordinator see only sums: aggregation 'secagg' or 'bfv'."
NOISE = "Add differential privacy for patients: privacy 'dpsgd', and lower epsilon until the finding is gone."
BATCH = "Let no update rest on one or a few cases: a larger batch, more local steps, or aggregation 'secagg'."
AGAIN = "Measure again with more time; if it stays above, noise or clipping may not be what was claimed."
MEND = "Do not rely on this run's promise: noise or clipping is not what was claimed. Find the defect and run again."


def verdicts(
    sites: Sequence[SiteId], claim: Claim, trials: Sequence[Trial], audit: Audit, no_case: str = ""
) -> tuple[Verdict, ...]:
    """One for every hospital, in the order given: the worst light of its rules.

    no_case: why no attack that asks for a case's own loss was possible; "" where they were.
    """
    return tuple(_verdict(site, claim, trials, audit, no_case) for site in sites)


def _verdict(site: SiteId, claim: Claim, trials: Sequence[Trial], audit: Audit, no_case: str) -> Verdict:
    own = [trial for trial in trials if trial.possible and trial.site in ("", site)]
    found: list[tuple[Topic, Reason]] = [("readers", _reading(claim)), ("epsilon", _promise(site, claim, audit))]
    found += [("epsilon", reason) for reason in _unmeasured(site, claim, trials)]
    found += [("rebuilt", reason) for reason in _untried(site, trials, no_case)]
    for trial in own:
        found += [(_topic(trial), reason) for reason in _trial_reasons(site, trial, claim, audit)]
    reasons = sorted((reason for _, reason in found), key=lambda reason: -WORST.index(reason[0]))
    advice = tuple(dict.fromkeys(change for colour, _, change in reasons if change and colour != "green"))
    lights = {topic: _worst(reason for about, reason in found if about == topic) for topic, _ in found}
    return Verdict(site, _worst(reasons), tuple((colour, rule) for colour, rule, _ in reasons), advice, lights)


def _worst(reasons: Iterable[Reason]) -> Light:
    return max((colour for colour, _, _ in reasons), key=WORST.index, default="green")


def _topic(trial: Trial) -> Topic:
    if trial.kind == "differences":
        return TOPICS[trial.kind]
    return OBSERVED.get(trial.observer) or TOPICS.get(trial.kind, "rebuilt")


def _reading(claim: Claim) -> Reason:
    if claim.reveals == "each":
        return "amber", "The coordinator could read this hospital's single updates.", SUM
    return "green", "The coordinator could read only sums over several hospitals.", ""


def _promise(site: SiteId, claim: Claim, audit: Audit) -> Reason:
    epsilon = claim.epsilon.get(site)
    if epsilon is None:
        return "amber", "Nothing was promised about what the model itself tells of a patient (no epsilon).", NOISE
    if epsilon > audit.epsilon_amber:
        words = f"The promised epsilon of {epsilon:.3g} is above {audit.epsilon_amber:g}: a weak promise."
        return "amber", words, NOISE
    if not claim.binds_coordinator:
        words = (
            f"An epsilon of {epsilon:.3g} was promised, but not towards the coordinator, which adds the noise itself."
        )
        return "amber", words, NOISE
    return "green", f"An epsilon of {epsilon:.3g} was promised, at most {audit.epsilon_amber:g}.", ""


def _unmeasured(site: SiteId, claim: Claim, trials: Sequence[Trial]) -> Iterator[Reason]:
    """Where a promise stands on trust alone, and why."""
    own = [trial for trial in trials if trial.kind == "epsilon" and trial.site in ("", site)]
    if site not in claim.epsilon or any(trial.possible for trial in own):
        return
    reason = next((trial.reason for trial in own if trial.reason), "it was not tried")
    yield "green", f"The promised epsilon was not measured here: {reason}.", ""


def _untried(site: SiteId, trials: Sequence[Trial], no_case: str) -> Iterator[Reason]:
    """An attack that this program does not have, or that failed, is no proof that there is none."""
    if no_case:
        yield "amber", f"Attacks that ask for a case's own loss were not tried, and may succeed: {no_case}.", ""
    for trial in trials:
        if trial.settings.get(FAILED) and trial.site in ("", site):
            yield "amber", f"{trial.attack} came to no end, and proves nothing: {trial.reason}.", ""
        if trial.settings.get(UNTRIED) and not no_case and trial.site in ("", site):
            yield "amber", f"{trial.attack} was not tried, and a like attack may succeed: {trial.reason}.", ""


def _trial_reasons(site: SiteId, trial: Trial, claim: Claim, audit: Audit) -> Iterator[Reason]:
    if trial.kind == "differences":
        yield from differences(trial, claim)
    elif trial.observer == "colluding":
        yield from _if_others_collude(trial, _images(site, trial, claim, audit))
    elif trial.observer == "cheating":
        yield from _if_it_cheats(trial, _images(site, trial, claim, audit))
    elif trial.kind == "reconstruction":
        yield from _images(site, trial, claim, audit)
    elif trial.kind == "membership":
        yield from _membership(trial, audit)
    elif trial.kind == "epsilon":
        yield from _epsilon(site, trial, claim)
    elif trial.kind == "labels":
        yield from _labels(trial, claim)


def _images(site: SiteId, trial: Trial, claim: Claim, audit: Audit) -> Iterator[Reason]:
    """The worst light of all this hospital's cases, in the words of the most telling of that light."""
    own = [(_light(one, audit), one) for one in trial.rebuilt if one.site == site]
    if not own:
        yield from _nothing_of(site, trial)
        return
    light, one = max(own, key=lambda pair: (WORST.index(pair[0]), pair[1].identifies, pair[1].tells, pair[1].ssim))
    found = f"{trial.attack} rebuilt an input of likeness {one.ssim:.2f}"
    change = BATCH if claim.reveals == "each" else NOISE
    yield light, f"{found}{_what_it_tells(light, one, audit)}.", "" if light == "green" else change


def _nothing_of(site: SiteId, trial: Trial) -> Iterator[Reason]:
    """Of a hospital that was in a sum, and whose cases were none of those that came back best."""
    if site in trial.settings.get("hospitals", ()):
        yield "green", f"Of what {trial.attack} rebuilt from a sum nothing is most like a case of this hospital.", ""


def _light(one: Rebuilt, audit: Audit) -> Light:
    """A patient who is recognised at all is an objection, however dimly."""
    if one.identifies:
        return "red" if one.ssim >= audit.image_red else "amber"
    return "amber" if one.tells and one.ssim >= audit.image_amber else "green"


def _what_it_tells(light: Light, one: Rebuilt, audit: Audit) -> str:
    right = f"of {one.among} patients it is most like the true one"
    if light == "red":
        return f", and {right}: a patient's data came back (limit {audit.image_red:g})"
    if one.identifies and one.ssim < audit.image_amber:
        return f", the right one of {one.among} patients, yet only dimly (below the limit of {audit.image_amber:g})"
    if light == "amber":
        whose = right if one.identifies else "but not this patient alone"
        return f" (other patients' cases have {one.decoy:.2f}; limit {audit.image_amber:g}), {whose}"
    if one.ssim >= audit.image_amber:
        return f", no better than other patients' cases with {one.decoy:.2f}"
    return f" at best, below {audit.image_amber:g}"


def _if_others_collude(trial: Trial, found: Iterator[Reason]) -> Iterator[Reason]:
    """One light milder than the coordinator's own findings: nobody promised that the others are honest."""
    colluding, left = len(trial.settings["colluders"]), len(trial.settings["left"])
    who, what = f"all {colluding} other hospitals", "this hospital's update"
    if left > 1:
        who, what = f"{colluding} of {colluding + left} hospitals", f"the sum of the other {left}"
    for light, words, change in found:
        condition = f"If {who} collude with the coordinator, {what} is open, and {words}"
        yield "amber" if light == "red" else "green", condition, change


def _if_it_cheats(trial: Trial, found: Iterator[Reason]) -> Iterator[Reason]:
    """As `_if_others_collude`. What a hospital with its list of approved studies refuses is no objection."""
    refusal = trial.settings["refused"]["listed"]
    if refusal:
        words = f"A coordinator that cheats ({trial.attack}) is refused by a hospital that checks: {refusal}."
        yield "green", words, ""
        return
    for light, words, _ in found:
        condition = f"If the coordinator cheats ({trial.attack}), no check of a hospital sees it, and {words}"
        yield "amber" if light == "red" else "green", condition, NOISE


def _membership(trial: Trial, audit: Audit) -> Iterator[Reason]:
    area = trial.intervals.get("auc")
    if area is None:
        return
    interval = f"{area.value:.2f} ({area.low:.2f} to {area.high:.2f}; 0.5 is guessing)"
    where = "" if trial.site else ", over all hospitals together"
    words = f"{trial.attack} ranks a patient of the study above another with a chance of {interval}{where}"
    if area.low >= audit.auc_red:
        yield "red", f"{words}: surely above {audit.auc_red:g}.", NOISE
    elif area.low >= audit.auc_amber:
        yield "amber", f"{words}: surely above {audit.auc_amber:g}.", NOISE
    else:
        yield "green", f"{words}: not surely above {audit.auc_amber:g}.", ""


def _labels(trial: Trial, claim: Claim) -> Iterator[Reason]:
    """An objection where every count is right and guessing would seldom be."""
    by_chance = trial.figures.get("exact_by_chance", 0.0) ** trial.figures.get("updates", 1.0)
    if trial.figures.get("exact_share", 0.0) < 1 or by_chance >= CHANCE:
        return
    whose = "an update" if trial.site else "the sum of all hospitals"
    words = f"How many cases of each class {whose} rests on was read from it ({trial.attack})."
    yield "amber", words, SUM if claim.reveals == "each" else NOISE


def _epsilon(site: SiteId, trial: Trial, claim: Claim) -> Iterator[Reason]:
    measured, whole = trial.figures.get("epsilon_lower_bound"), claim.epsilon.get(site)
    if measured is None or whole is None:
        return
    promised = min(whole, trial.figures.get("epsilon_claimed_for_audited_steps", whole))
    bound = f"the promised {promised:.2f}"
    if promised < whole:
        bound = f"the {promised:.2f} that the steps measured may spend of the promised {whole:.2f}"
    estimate = trial.intervals.get("epsilon_estimate")
    if measured <= promised and estimate is not None and estimate.low > promised:
        words = f"Epsilon is estimated at {estimate.value:.2f}, above {bound}"
        yield "amber", f"{words}; an estimate is no proof, but it should lie below.", AGAIN
    if measured > promised:
        yield "red", f"At least epsilon {measured:.2f} was measured, above {bound}.", MEND
    else:
        yield "green", f"The measured lower bound of epsilon, {measured:.2f}, does not exceed {bound}.", ""

"""An audit in words for someone who never trained a model."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.audit.records import Claim, Kind, Light, Rebuilt, Report, Trial
from server.reporting.sections.promise import neighbours
from server.reporting.wording import count, score

LIGHTS: dict[Light, tuple[str, str, str]] = {
    "green": ("No objection found", "good", "✓"),
    "amber": ("Sign only with care", "warn", "!"),
    "red": ("Do not sign", "bad", "✕"),
}
"""Of each light: its word, its look and its sign."""

ORDER: tuple[Light, ...] = ("green", "amber", "red")

KINDS: dict[Kind, str] = {
    "differences": "Telling a hospital apart",
    "reconstruction": "Rebuilding a patient's data",
    "membership": "Telling who was a patient of the study",
    "epsilon": "Measuring the promise of privacy",
    "labels": "Reading diagnoses off an update",
    "robustness": "Fooling the model",
}
QUESTIONS: dict[Kind, str] = {
    "differences": "Do the sums that the coordinator reads, taken together, give a single hospital's update?",
    "reconstruction": "Can an image or a record of a patient be rebuilt from what a hospital sent?",
    "membership": "Given a patient's data, can one tell whether that patient was among those trained on?",
    "epsilon": "Does the training give away more than the epsilon that was promised?",
    "labels": "Can one read from what a hospital sent how many of its patients have a disease?",
    "robustness": "How little must an image or a record be changed for the final model to be wrong?",
}


def overall(report: Report) -> Light:
    """The worst light of any hospital."""
    return max((verdict.light for verdict in report.verdicts), key=ORDER.index, default="amber")


def promise_sentence(report: Report) -> str:
    """What was promised, in one or two sentences."""
    claim = report.claim
    if claim.reveals == "each":
        sums = "The coordinator could read what each hospital sent, hospital by hospital."
    else:
        sums = f"What hospitals sent was protected by {claim.aggregation}: the coordinator could read only sums."
    sums += _as_long_as(claim)
    if not claim.epsilon:
        return f"{sums} No bound was promised on what the model itself tells of a patient."
    low, high = min(claim.epsilon.values()), max(claim.epsilon.values())
    epsilon = score(high) if score(low) == score(high) else f"{score(low)} to {score(high)}, by hospital"
    return (
        f"{sums} What is let out hides the presence of one {claim.unit}: epsilon is {epsilon}, delta "
        f"{claim.delta:g}. Epsilon bounds how much {_whom(claim)} can learn of one; 0 is nothing, 1 is little, above "
        "10 is hardly a bound."
        f"{_noise_of_few(claim)}{_relation(claim)}"
    )


def _relation(claim: Claim) -> str:
    return f" {said}" if (said := neighbours(claim.relation)) else ""


def _whom(claim: Claim) -> str:
    if claim.binds_coordinator:
        return "anyone"
    return "anyone but the coordinator, which adds the noise itself and sees what is under it,"


def _as_long_as(claim: Claim) -> str:
    """How many hospitals may help the coordinator before it reads a single update."""
    if claim.reveals == "each":
        return ""
    if claim.opening_hospitals == 0:
        return f" Differences of sums tell single hospitals apart all the same: {claim.opened_by}."
    if claim.opening_hospitals == 1:
        return " With the help of any one hospital it reads another's update, and if it cheats it needs no help."
    return (
        f" That holds as long as fewer than {count(claim.opening_hospitals, 'hospital')} collude with a coordinator "
        f"that keeps to the protocol, and {few_if_cheating(claim)}."
    )


def few_if_cheating(claim: Claim) -> str:
    """How many may collude with a coordinator that cheats."""
    if claim.opening_if_cheating == 0:
        under = ", under its noise" if claim.mechanism else ""
        return f"not with one that cheats, which needs no help: two sums that differ by one hospital open it{under}"
    few = f"fewer than {claim.opening_if_cheating}" if claim.opening_if_cheating > 1 else "none"
    return f"{few} with one that cheats"


def _noise_of_few(claim: Claim) -> str:
    """How much collusion a distributed noise is enough for."""
    if claim.epsilon_of_one_share is None:
        return ""
    paid = f"at most {count(claim.paid_for, 'hospital')}" if claim.paid_for else "no hospital"
    return (
        f" Each hospital adds a share of the noise. The epsilon allows for {paid} to collude with the coordinator; "
        f"if all others did, one share alone would be left, and epsilon {score(claim.epsilon_of_one_share)}."
    )


BY_WHOM = {
    "server": "the coordinator",
    "colluding": "the coordinator, told by other hospitals",
    "cheating": "a coordinator that cheats",
    "auditor": "the auditor, who knows more than any attacker",
    "hospital": "a hospital",
}


def by_whom(trial: Trial) -> str:
    """Who could have made that attempt: whoever has the final model, or every model, needs no more."""
    if trial.observer == "server" and trial.knowledge.startswith("the final model"):
        return "anyone"
    if trial.knowledge == "the models of all rounds":
        return "any hospital of the study"
    return BY_WHOM.get(trial.observer, trial.observer)


def answer(kind: Kind, trials: Sequence[Trial]) -> str:
    """What all attacks of a kind came up with."""
    tried = [trial for trial in trials if trial.kind == kind and trial.possible]
    if not tried:
        reasons = list(dict.fromkeys(trial.reason for trial in trials if trial.kind == kind and trial.reason))
        return f"Not possible: {reasons[0]}." if reasons else "Not tried."
    return {
        "differences": _apart,
        "reconstruction": _rebuilt,
        "membership": _told,
        "epsilon": _measured,
        "labels": _read_off,
        "robustness": _fooled,
    }[kind](tried)


def _apart(tried: Sequence[Trial]) -> str:
    looked = [trial for trial in tried if trial.observer == "server"]
    fewest = min((int(trial.figures["fewest_of_any"]) for trial in looked), default=0)
    said = (
        [f"Combinations of the opened sums tell no fewer than {count(fewest, 'hospital')} apart."] if looked else []
    )
    near = max((trial.figures["cosine"] for trial in looked if "cosine" in trial.figures), default=None)
    if near is not None:
        said.append(f"The best estimate of a hospital's update has a cosine of {near:.3f} with the true one.")
    for trial in tried:
        if trial.observer == "cheating":
            refused = trial.settings["refused"]["listed"]
            helped = f"is refused: {refused}" if refused else "gets two whose difference is that hospital's update"
            said.append(f"A coordinator that cheats, and asks for sums that differ by one hospital, {helped}.")
    return " ".join(said)


def _rebuilt(tried: Sequence[Trial]) -> str:
    said = _best_rebuilt([trial for trial in tried if trial.honest])
    colluding = [trial for trial in tried if trial.observer == "colluding"]
    if colluding:
        said += f" Played as well, other hospitals colluding with the coordinator: {_best_rebuilt(colluding)}"
    cheating = [trial for trial in tried if trial.observer == "cheating"]
    if cheating:
        said += f" And a coordinator that cheats: {_cheated(cheating)}"
    return said


def _cheated(tried: Sequence[Trial]) -> str:
    """By whether a hospital that checks what it is sent answers at all."""
    answered = [trial for trial in tried if not trial.settings["refused"]["listed"]]
    if answered:
        return _best_rebuilt(answered)
    back = any(one.identifies for trial in tried for one in trial.rebuilt)
    came = "patients' own data came back" if back else "nothing of a patient came back"
    return f"hospitals refuse its models; from hospitals that check nothing {came}."


def _best_rebuilt(tried: Sequence[Trial]) -> str:
    shown = [one for trial in tried for one in trial.rebuilt]
    if not shown:
        return "Nothing was rebuilt."
    best = max(shown, key=lambda one: (one.identifies, one.tells, one.ssim))
    start = f"The most telling attempt has a likeness of {best.ssim:.2f} to the true one (1 is the same, 0 is none)"
    if best.identifies:
        return f"{start}, and of {best.among} patients it is most like the right one.{_more_alike(best, shown)}"
    if not best.tells:
        return f"{start}; cases of other patients reach {best.decoy:.2f}, so nothing came back."
    return f"{start}; it is not clearly more like the right patient than like others."


def _more_alike(best: Rebuilt, shown: Sequence[Rebuilt]) -> str:
    """Where something is more like its patient than what is recognised, and not clearly that patient's."""
    likest = max((one.ssim for one in shown if one.tells), default=0.0)
    return f" Another has {likest:.2f}, and is not clearly of one patient." if likest > best.ssim else ""


def _told(tried: Sequence[Trial]) -> str:
    best = max((t for t in tried if "auc" in t.intervals), key=lambda t: t.intervals["auc"].low, default=None)
    if best is None:
        return "Nothing was told."
    area = best.intervals["auc"]
    where = best.site or "all hospitals together"
    chance = "not surely better than guessing" if area.low <= 0.5 else "better than guessing"
    return (
        f"The best attack ({best.attack}, {where}) ranks a patient of the study above another with a chance of "
        f"{area.value:.2f} ({area.low:.2f} to {area.high:.2f}, all areas together {_sure(best)}); guessing gives "
        f"0.50. That is {chance}."
    )


def _sure(trial: Trial) -> str:
    return f"{100 * float(trial.settings.get('confidence', 0.95)):g} % sure"


def _measured(tried: Sequence[Trial]) -> str:
    bounds = [trial.figures.get("epsilon_lower_bound", 0.0) for trial in tried]
    return (
        f"Attacks on the training itself show that epsilon is at least {max(bounds):.2f} (all bounds together "
        f"{_sure(tried[0])}). A sound promise lies above what is measured; how far above, no measurement can say."
    )


def _read_off(tried: Sequence[Trial]) -> str:
    shares = [trial.figures["exact_share"] for trial in tried if "exact_share" in trial.figures]
    if not shares:
        return "Nothing was read."
    return f"Counts of cases by diagnosis were read exactly in {100 * max(shares):.0f} % of the best attack's tries."


def _fooled(tried: Sequence[Trial]) -> str:
    sites = {trial.site for trial in tried if trial.site}
    poisons = [trial for trial in tried if trial.attack.startswith("poisoning")]
    poisoned = f" {count(len(poisons) - 1, 'kind')} of poisoned updates were tried too." if len(poisons) > 1 else ""
    return (
        f"Tried on {count(len(sites), 'hospital')}; the table of all attempts says how far the score falls with the "
        f"size of the change.{poisoned}"
    )

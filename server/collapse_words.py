"""What was found out about collapse, in sentences for who runs a study."""

from __future__ import annotations

from collections.abc import Mapping

from server.collapse import FEATURES, LEAST_CASES, RANK, Finding, Verdict
from server.reporting.wording import count, listed, percent

ADVICE = (
    "What helps: a smaller learning rate; a teacher that changes more slowly (momentum nearer to 1) and is averaged "
    "with the model; a sharper teacher, and a centre that follows at once (a smaller centre_momentum); more cases in "
    "a batch; stronger augmentation."
)
ADVICE_AT_FIRST = (
    "This was so before the first round: are the images all alike, as after a wrong scaling or clipping, or is the "
    "model that the run began from one that had collapsed?"
)
ALMOST = 0.05
ENDING = "is collapsing: it answers cases more and more alike"
ADVICE_OF_ONE = "Look at that hospital's images, how they are scaled, and which scanner they come from."


def sentence(finding: Finding) -> str:
    """What one finding means, with its numbers."""
    when, whose, what = _when(finding.of_round), _whose(finding), answers(finding.score)
    match finding.kind:
        case "fallen":
            share = (finding.value or 0.0) / (finding.at_first or 1.0)
            end = "has collapsed: it answers all cases almost alike" if share < ALMOST else ENDING
            return (
                f"{when} the {what} of {whose} have drawn together: they lie {number(finding.value)} from their "
                f"mean, which is {percent(share)} of the {number(finding.at_first)} before the first round. The "
                f"network {end}, whatever its loss says{_since(finding)}."
            )
        case "alike":
            return (
                f"{when} the {what} of {whose} are all one: they lie {number(finding.value)} from their mean. The "
                f"network tells no case from another, whatever its loss says{_since(finding)}."
            )
        case "narrow":
            return (
                f"{when} the {what} of {whose} lie in {number(finding.value)} directions, where they lay in "
                f"{number(finding.at_first)} before the first round: of all that tells cases apart one number is "
                f"left{_since(finding)}."
            )
        case "trivial":
            return (
                f"{when} the loss of {whose} stands at what it is where nothing is learned, as after round "
                f"{finding.since}, and answers to different cases lie at less than 40 % of their distance before the "
                "first round: what the network is to answer has become the same for all."
            )
        case "unlearned":
            return (
                f"{when} the loss of {whose} stands at what it is where nothing is learned, as after round "
                f"{finding.since}: {percent(abs(finding.value or 0.0))} of it is explained."
            )
        case "lost":
            return (
                f"{when} the {what} of {whose} could not be measured: they are no finite numbers, or nobody scored "
                "a case."
            )


def sentences(found: Verdict) -> list[str]:
    """What stands, with what helps; [] where there is nothing to say."""
    told = [sentence(one) for one in found.standing]
    grave = [one for one in found.standing if one.is_grave]
    if any(not one.site for one in grave):
        told.append(ADVICE_AT_FIRST if grave[0].since == 0 else ADVICE + last_well(found))
    elif grave:
        told.append(ADVICE_OF_ONE)
    return told


def in_short(found: Verdict) -> str:
    """For a line of a log or above a table; "" where all is well."""
    grave = [one for one in found.standing if one.is_grave] or list(found.standing)
    return f"{'COLLAPSED' if found.collapsed else 'Doubtful'}: {sentence(grave[0])}" if grave else ""


def all_well(found: Verdict) -> str:
    """That it was looked at, and how things stand; of runs where nothing was found, or could be."""
    if not found.looks:
        return "Nobody looked whether the network still tells cases apart: no model was evaluated."
    last = found.looks[-1]
    known = [name for name in found.watched if name in last.pooled]
    if not known:
        return (
            "Nobody could see whether the network still tells cases apart: no evaluation had a case to measure it on."
        )
    first = found.looks[0].pooled if found.has_reference else {}
    now = listed([_standing(name, last.pooled, first.get(name)) for name in known])
    looks = count(len(found.looks), "evaluation")
    return f"Looked at in {looks}, the last {_when(last.of_round).lower()}: {now}; {_conclusion(found)}."


def _conclusion(found: Verdict) -> str:
    if found.is_of_few:
        return f"of fewer than {LEAST_CASES} cases that says nothing, and a collapse would not be seen"
    unseen = listed([answers(name) for name in found.unseen])
    known = "no collapse" if found.has_reference else _without_reference()
    return f"{known} of these; {unseen} were not measured, and theirs would not be seen" if unseen else known


def answers(score: str) -> str:
    """What a watched score is of: features, or what `NAME_spread` names."""
    name = score.removesuffix("_spread")
    if name in ("spread", RANK):
        return "features"
    return f"{name.replace('_', ' ').removesuffix('s')}s"


def number(value: float | None) -> str:
    """Two digits that count."""
    return (
        "nothing" if value is None else f"{value:.2g}" if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")
    )


def _standing(name: str, scores: Mapping[str, float], first: float | None) -> str:
    before = "" if first is None else f" ({number(first)} before the first round)"
    rank = scores.get(RANK) if name == FEATURES else None
    ranked = "" if rank is None else f" in {number(rank)} directions"
    return f"{answers(name)} lie {number(scores[name])} from their mean{ranked}{before}"


def _without_reference() -> str:
    return "no collapse to nothing, but nobody looked before the first round, so that a partial one would not be seen"


def _when(of_round: int) -> str:
    return f"After round {of_round}" if of_round else "Before the first round"


def _whose(finding: Finding) -> str:
    return f"{finding.site}'s cases" if finding.site else "all hospitals' cases"


def _since(finding: Finding) -> str:
    if finding.since in (finding.of_round, 0):
        return ""
    return f" (since round {finding.since})"


def last_well(found: Verdict) -> str:
    """Which model one could go back to."""
    return f" The last model that told cases apart was that after round {found.last_well}." if found.last_well else ""

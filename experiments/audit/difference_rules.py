"""The light of differences of sums: held where nothing below a whole group is told apart."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.audit.records import Claim, Reason, Trial
from server.reporting.wording import count

GROUPS = (
    "Let sums be opened of whole groups only (federation.groups = 'whole'), under keys that hospitals do not share "
    "(aggregation 'secagg', or 'bfv' with keys = 'distributed')."
)
NEARER = 0.05
"""Of cosine with the hospital's true update, beyond that of the opened sum."""
NOISY = "it has this run's noise on it, so that the promise rests on epsilon alone"


def differences(trial: Trial, claim: Claim) -> Iterator[Reason]:
    """What the run's own sums tell of a hospital, or what one that cheats is helped to."""
    if trial.observer == "cheating":
        yield _of_a_cheat(trial, claim)
    elif trial.figures["fewest_of_any"] >= trial.figures["least_in_sum"]:
        yield (
            "green",
            f"Combinations of the {count(int(trial.figures['rounds']), 'opened sum')} tell no fewer than "
            f"{trial.figures['told_apart']:.0f} hospitals apart, this one among them.",
            "",
        )
    else:
        yield _of_sums(trial, claim)


def _of_sums(trial: Trial, claim: Claim) -> Reason:
    several = int(trial.figures["told_apart"])
    what = "this hospital's own update" if several == 1 else f"the sum of {several} hospitals, this one among them,"
    if several >= trial.figures["least_in_sum"]:
        what = f"over {trial.figures['fewest_of_any']:.0f} hospitals only, and of {several} with this one their sum"
    rounds = count(int(trial.figures["rounds"]), "opened sum")
    words = f"A combination of the {rounds} is {what}{_how_near(trial)}"
    if claim.mechanism:
        return "amber", f"{words}; {NOISY}.", ""
    return ("red" if _is_read(trial, several) else "amber"), f"{words}.", GROUPS


def _is_read(trial: Trial, several: int) -> bool:
    """Whether the hospital's own update is known as good as exactly; one that is told alone and not measured is."""
    if "cosine" not in trial.figures:
        return several == 1
    beyond, close = trial.figures["beyond_the_sum"] > NEARER, trial.figures["cosine"] > 1 - NEARER
    return (several == 1 and (beyond or close)) or (beyond and close)


def _how_near(trial: Trial) -> str:
    """Measured, or why not."""
    if "cosine" not in trial.figures:
        return f" (not compared with the true one: {trial.settings.get('not_scored') or 'no reason is known'})"
    cosine, of_sum = trial.figures["cosine"], trial.figures["cosine_of_sum"]
    return f": cosine {cosine:.3f} with the true one, where the opened sum has {of_sum:.3f}"


def _of_a_cheat(trial: Trial, claim: Claim) -> Reason:
    refusal = trial.settings["refused"]["listed"]
    if refusal:
        return "green", f"A coordinator that opens two sums which differ by one hospital is refused: {refusal}.", ""
    cosine = trial.figures["cosine"]
    words = (
        "A coordinator that cheats is helped to two sums which differ by one hospital: their difference is that "
        f"hospital's update (cosine {cosine:.3f})"
    )
    return ("amber", f"{words}; {NOISY}.", "") if claim.mechanism else ("amber", f"{words}.", GROUPS)

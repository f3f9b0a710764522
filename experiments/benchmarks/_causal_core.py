"""What `bench causal` says of identification, on 1,000 random graphs, and of Simpson's paradox."""

from __future__ import annotations

from experiments.benchmark import Target
from experiments.benchmarks._identification import check_identification
from experiments.benchmarks._simpson import BERKELEY, KIDNEY_STONES, Kind, answer, detect

QUESTIONS, FEWEST_COMPARED = 1000, 500
LARGEST_ERROR, PROTOTYPE_ERROR, PROTOTYPE_MS = 1e-12, 3e-16, 0.1
FEDERATIONS = 100


def identification_targets(peer: str | None) -> list[Target]:
    """Effects of whole populations and within groups. peer: a Python that has y0."""
    found = []
    for given, of in ((False, "effects"), (True, "effects within a group")):
        checked = check_identification(QUESTIONS, peer=peer, given=given)
        worst = max(checked.worst, checked.worst_named)
        name = f"{of} identified in {checked.identified} of {QUESTIONS} random graphs: largest error"
        found.append(
            Target(
                name, worst, checked.peer_worst, PROTOTYPE_ERROR, f"at most {LARGEST_ERROR}", worst <= LARGEST_ERROR
            )
        )
        found.append(Target(f"{of}: ms a decision", checked.ms, checked.peer_ms, PROTOTYPE_MS, "beside y0", None))
        if checked.compared is None:
            found.append(Target(f"{of}: decisions that differ from y0's", None, None, None, "none", None))
            continue
        name = f"{of}: {checked.differing} of {checked.compared} decisions differ from y0's; wrong by the truth"
        aim = f"none, of {FEWEST_COMPARED} or more; y0 fails on {checked.peer_failed}"
        met = checked.compared >= FEWEST_COMPARED and not checked.lost
        found.append(Target(name, checked.lost, checked.peer_wrong, 0.0, aim, met))
    return found


def simpson_targets() -> list[Target]:
    """The two of books, and federations that are made with and without one."""
    found = []
    published = (("Berkeley", BERKELEY, (0.142, -0.043)), ("kidney stones", KIDNEY_STONES, (-0.046, 0.054)))
    for name, counts, bounds in published:
        numbers = answer(counts).numbers
        for kind, bound in zip(("aggregate", "adjusted"), bounds, strict=True):
            ours = numbers[kind]["difference"]
            met = numbers["found"] and round(ours, 3) == bound
            found.append(Target(f"{name}, {kind}: {numbers['verdict']}", ours, None, bound, "as published", met))
    without: tuple[Kind, ...] = ("alike", "effect", "confounded")
    for kind in without:
        said = detect(kind, FEDERATIONS).found
        found.append(Target(f"paradoxes seen in {FEDERATIONS} without ({kind})", said, None, 0, "quiet", said <= 1))
    said = detect("paradox", FEDERATIONS).found
    found.append(Target(f"paradoxes seen in {FEDERATIONS} with one", said, None, None, "power, shown", None))
    return found

"""An effect in words for whoever has the data and not the theory."""

from __future__ import annotations

from collections.abc import Sequence

from common.causality.adjustment import Adjustment, adjustment_of
from common.causality.identified_effect import Effect, helpful_measurements, instruments
from common.causality.paths import find_paths
from common.causality.rendering import question_as_text
from common.errors import GraphError

MOST_SETS = 12


def headline(effect: Effect) -> str:
    """Whether it can be known, and by what, in a sentence or two."""
    treatments, outcomes = _and(effect.treatments), _and(effect.outcomes)
    subject = f"The effect of {treatments} on {outcomes}"
    if effect.given:
        subject += f" in patients of each {_and(effect.given)}"
    match effect.strategy:
        case "no effect":
            return f"{treatments} cannot affect {outcomes}: no arrows lead from one to the other."
        case "none needed":
            return f"{subject} can be known, and nothing need be adjusted for: what is seen is the effect."
        case "back-door":
            return f"{subject} can be known from what is measured: adjust for {_and(effect.adjusted)} (back-door)."
        case "adjustment":
            return f"{subject} can be known from what is measured: adjust for {_and(effect.adjusted)}."
        case "front-door":
            return (
                f"{subject} can be known although its confounding is not measured: through "
                f"{_and(effect.mediators)}, by which all of it goes (front-door)."
            )
        case "c-components":
            return (
                f"{subject} can be known, though not by adjusting: by a formula that the ID algorithm finds from the "
                "groups that unmeasured causes hold together (c-components)."
            )
    return f"{subject} cannot be known from what is measured, whatever the number of patients."


def reasons(effect: Effect) -> list[str]:
    """What follows: the hedge, what would help, what else may be adjusted for."""
    return _of_hedge(effect) if effect.hedge else _of_formula(effect)


def minimal_sets(effect: Effect) -> tuple[tuple[str, ...], ...]:
    """All smallest sets that may be adjusted for; none where there are too many candidates to list them."""
    if effect.given or effect.strategy == "no effect":
        return ()
    try:
        return _of(effect).minimal()
    except GraphError:
        return ()


def roles(effect: Effect) -> list[tuple[str, str, str]]:
    """Every path from a treatment to an outcome: the roles on it, and what it does before and after adjusting."""
    found = []
    for start in effect.treatments:
        for end in effect.outcomes:
            after = {path.text: path for path in find_paths(effect.graph, start, end, _held(effect))}
            for path in find_paths(effect.graph, start, end):
                named = ", ".join(f"{node}: {role}" for node, role in zip(path.nodes[1:-1], path.roles, strict=True))
                if path.is_causal:
                    does = (
                        "carries the effect" if after[path.text].is_open else "carries the effect, and is shut here"
                    )
                else:
                    states = ("open" if path.is_open else "shut", "open" if after[path.text].is_open else "shut")
                    does = states[0] if states[0] == states[1] else f"{states[0]}; {states[1]} once adjusted"
                    does = f"biases ({does})" if "open" in states else f"does no harm ({does})"
                    if "open" in states and effect.strategy in ("front-door", "c-components"):
                        does = "biases (open), and the formula goes round it"
                found.append((path.text, named or "-", does))
    return found


def _held(effect: Effect) -> tuple[str, ...]:
    return (*effect.adjusted, *effect.given)


def _of(effect: Effect) -> Adjustment:
    return adjustment_of(effect.graph, effect.treatments, effect.outcomes)


def _of_hedge(effect: Effect) -> list[str]:
    hedge = effect.hedge
    assert hedge is not None
    inside = _and(tuple(name for name in hedge.outer if name not in hedge.inner))
    rest = f"{_and(hedge.inner)} {'does' if len(hedge.inner) == 1 else 'do'} so"
    said = [
        f"What forbids it is a hedge: {_and(hedge.outer)} hang together by common causes that nobody measured, and "
        f"{rest} without {inside}. Two worlds that look alike in all that is measured can then differ in the effect."
    ]
    helping = helpful_measurements(effect)
    if helping:
        listed = ", or ".join(f"of {one} and {other}" for one, other in helping)
        said.append(f"It could be known if somebody measured the common cause {listed}.")
    else:
        said.append("No single common cause, were it measured, would be enough: several would have to be.")
    said.append("Or treat at random: a trial cuts every arrow into what is set.")
    if found := instruments(effect):
        said.append(
            f"{_and(found)} can serve as an instrument: bounds follow, and an effect where it is the same for all "
            "or where nobody is moved the wrong way."
        )
    return said


def _of_formula(effect: Effect) -> list[str]:
    said = []
    sets = minimal_sets(effect)
    if len(sets) > 1:
        listed = "; ".join(_and(one) or "nothing" for one in sets[:MOST_SETS])
        more = f"; and {len(sets) - MOST_SETS} more" if len(sets) > MOST_SETS else ""
        said.append(f"Smallest sets to adjust for, each enough by itself: {listed}{more}.")
    if effect.strategy in ("back-door", "adjustment", "none needed") and not effect.given:
        best = _of(effect).efficient()
        if best is not None and set(best) != set(effect.adjusted):
            said.append(f"With the least variance: adjust for {_and(best) or 'nothing'}.")
        forbidden = effect.graph.sorted(_of(effect).forbidden - set(effect.treatments) - set(effect.outcomes))
        if forbidden:
            said.append(f"Never adjust for {_and(forbidden)}: on the causal way or behind it.")
    if effect.idle:
        said.append(f"The formula names {_and(effect.idle)}; its value is the same at each level of it.")
    if effect.strategy != "no effect":
        question = question_as_text(effect.treatments, effect.outcomes, effect.given)
        said.append(f"{question} rests on the graph: every arrow left out is an assumption.")
    return said


def _and(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else "".join(names)

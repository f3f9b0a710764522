"""Personal data or anonymous? What was found, by the three tests of WP216, for an officer who decides.

By the EDPB's Opinion 28/2024 a model is anonymous only where it is unlikely to a degree that does not count, for
everyone whose data trained it and by all means that are reasonably likely to be used, both that their data are taken
out of it and that questions to it bring them out. WP216 (Opinion 05/2014) asks of data: can one be singled out, can
records be linked, can something be inferred about one?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from experiments.audit.cast import cast_of_report
from experiments.audit.dossier.risks import answered, is_doubted, light_of
from experiments.audit.dossier.sheet import Bearing, Recognition
from experiments.audit.records import Light, Report
from experiments.question import Test
from server.reporting.wording import listed

TESTS: tuple[str, ...] = get_args(Test)
DOUBTED = "That holds where the promise is kept, which was not shown by tests that would have seen every fault."
NONE_TRIED = "No attack of this kind is among those that were tried: open."


def bearings(report: Report, found: Sequence[Recognition], note: str) -> Iterator[Bearing]:
    """Test by test, what each question that bears on it came to; then what the promise bounds."""
    told: dict[tuple[Light, str], list[str]] = {}
    questions = cast_of_report(report).in_order()
    for test in TESTS:
        own = [(name, one) for name, one in questions if test in getattr(one, "bears_on", ())]
        said = [(name, one, light) for name, one in own if (light := light_of(report, name)) is not None]
        for name, one, light in said:
            told.setdefault((light, f"{one.title}: {answered(report, name)}"), []).append(test)
        if not said:
            told.setdefault(("amber", NONE_TRIED), []).append(test)
    for (light, fact), tests in told.items():
        yield Bearing(listed(tests), light, fact)
    if found and is_doubted(report):
        yield Bearing("all three", "amber", f"{note} {DOUBTED}")
    elif found:
        yield Bearing("all three", "green", note)
    else:
        yield Bearing("all three", "amber", "No epsilon was promised: nothing bounds what a better attack could do.")


def answer(report: Report, found: Sequence[Bearing]) -> str:
    """As far as findings answer it; else openly the officer's."""
    if any(one.light == "red" for one in found):
        return (
            "Personal data: what was found here points to persons, so the model, or what hospitals sent, is to be "
            "treated as their data."
        )
    if not report.claim.epsilon:
        return (
            "Not shown to be anonymous: nothing that was tried surely points to a person, and nothing bounds what a "
            "better attack could do. Treat it as personal data unless you can say why not."
        )
    if is_doubted(report):
        return (
            "Left to you, with a doubt: nothing that was tried surely points to a person, and epsilon would bound "
            "every attack, but that it is kept was not shown by tests that would have seen every fault."
        )
    return (
        "Left to you: nothing that was tried surely points to a person, and epsilon bounds every attack, but "
        "whether what is left is insignificant for each of them is a judgement on this study, its data and who gets "
        "the model."
    )

"""What to distrust: the tests that each method passed or failed on this model, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.attribution.faithfulness.judging import CHECKS
from experiments.explanations.methods import Mapped, Method
from experiments.explanations.verdicts import Verdict, Verdicts, badge
from server.reporting.markup import Child, Markup, table, tag
from server.reporting.sections.layout import facts, figure, numbers, section
from server.reporting.wording import NOTHING, count, listed

KEY = "distrust"
SIGNS = {True: "passed", False: "failed", None: NOTHING}


@dataclass(frozen=True, eq=False)
class Distrust:
    """Of the methods that have maps of this model."""

    mapped: Mapped
    verdicts: Verdicts

    @property
    def word(self) -> str:
        """In the contents."""
        return "What to distrust"

    def finding(self) -> str:
        """Which maps may be read."""
        if not any(self.verdicts.of(one).findings for one in self._methods()):
            return f"{NONE_TESTED}: read every map on this page as a picture, and no more."
        good = [one.title for one in self._methods() if self.verdicts.of(one).look == "good"]
        bad = [one.title for one in self._methods() if self.verdicts.of(one).look == "bad" and not one.control]
        first = f"Maps by {listed(good)} passed every test on this model." if good else self._none_passed()
        return first + (
            f" Do not believe those by {listed(bad)}: they hardly change when the model forgets." if bad else ""
        )

    def _none_passed(self) -> str:
        """Of methods for which there was no time nothing is known, and nothing is said."""
        own = [one for one in self._methods() if not one.control]
        untested = [one.title for one in own if not self.verdicts.of(one).findings]
        if not untested:
            return NONE_PASSED
        tested = listed([one.title for one in own if self.verdicts.of(one).findings])
        return (
            f"Maps by {tested} did not pass every test on this model: read none of them as an explanation. "
            f"The seconds did not suffice to test {count(len(untested), 'more kind')} (--seconds)."
        )

    def facts(self) -> Mapping[str, Any]:
        """Of every method and test the outcome, and why."""
        return {
            one.name: {
                "verdict": self.verdicts.of(one).words,
                "look": self.verdicts.of(one).look,
                "cases": self.verdicts.of(one).cases,
                "tests": {
                    name: {"outcome": found.word, "why": found.sentence}
                    for name, found in self.verdicts.of(one).findings.items()
                },
            }
            for one in self._methods()
        }

    def markup(self) -> Markup:
        """A table, and the reasons behind it."""
        tried = max((self.verdicts.of(one).cases for one in self._methods()), default=0)
        tested = (
            f"Whether it is one was tested on {count(tried, 'test case')}: does" if tried else f"{NONE_TESTED}. Does"
        )
        lede = (
            f"A coloured map always looks like an explanation. {tested} it change when the model is made to forget "
            "what it learned? Is the answer lost sooner when the coloured places are taken away than when others "
            "are? A method that fails the first shows the image, not the model, however convincing it looks."
        )
        names = [check for check in CHECKS if any(self._applied(one, check.name) for one in self._methods())]
        head = ["Method", "Verdict", *(check.name for check in names)]
        rows = [
            [
                one.title,
                badge(self.verdicts.of(one)),
                *(self._sign(self.verdicts.of(one), check.name) for check in names),
            ]
            for one in self._methods()
        ]
        asked: list[tuple[str, Child]] = [(check.name, check.question) for check in names]
        return section(
            KEY,
            "What should one distrust?",
            lede,
            table(head, rows, words=2 + len(names)),
            numbers("What each test asks", facts(asked)),
            numbers("Why, method by method", *(self._why(one) for one in self._methods())),
            tag("p", LIMIT, class_="note"),
        )

    def _methods(self) -> list[Method]:
        return [one for one in self.verdicts.ordered(self.mapped.methods) if one.name not in self.mapped.refused]

    def _applied(self, method: Method, name: str) -> bool:
        found = self.verdicts.of(method).findings.get(name)
        return found is not None and found.passed is not None

    def _sign(self, verdict: Verdict, name: str) -> Child:
        found = verdict.findings.get(name)
        passed = found.passed if found is not None else None
        look = {True: "badge good", False: "badge bad"}.get(passed) if passed is not None else None
        return tag("span", SIGNS[passed], class_=look)

    def _why(self, method: Method) -> Markup:
        """Each test in a sentence."""
        said: list[tuple[str, Child]] = [
            (name, one.sentence) for name, one in self.verdicts.of(method).findings.items() if one.passed is not None
        ]
        return figure(method.title, facts(said or [("not tested", self.verdicts.of(method).words)]))


NONE_TESTED = "Whether maps of this model can be believed was not tested, as the seconds did not suffice (--seconds)"
NONE_PASSED = "No kind of map passed every test on this model: read none of them as an explanation."
LIMIT = (
    "A map that passes is still no proof: it was not caught out. What settles a suspicion is to remove what the map "
    "points at, and to see whether the answer changes."
)

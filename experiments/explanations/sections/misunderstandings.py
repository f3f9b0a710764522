"""Two misunderstandings: that a simple model is understood, and that an explained one is trusted, or fair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from experiments.explanations.clock import Clock
from experiments.explanations.section import Asked, Make, Section
from experiments.explanations.subject import Subject
from server.reporting.markup import Markup, tag
from server.reporting.records import Run
from server.reporting.sections.layout import beside, figure, section
from server.reporting.wording import count, score, score_name

KEY = "misunderstandings"


@dataclass(frozen=True)
class Misunderstandings:
    """headline: of the run's scores. parameters: of the network. linear: whether it is one layer of weights.

    worst, best: hospital and its score of the headline, on test cases; None where single ones are not known.
    """

    headline: str
    parameters: int
    linear: bool
    worst: tuple[str, float] | None
    best: tuple[str, float] | None

    @property
    def word(self) -> str:
        """In the contents."""
        return "Misunderstandings"

    def finding(self) -> str:
        """None."""
        return ""

    def facts(self) -> Mapping[str, Any]:
        """Whatever the words name."""
        return {
            "parameters": self.parameters,
            "linear": self.linear,
            "worst_hospital": list(self.worst) if self.worst else None,
            "best_hospital": list(self.best) if self.best else None,
        }

    def markup(self) -> Markup:
        """Side by side."""
        return section(
            KEY,
            "Two misunderstandings",
            "Both are common, and both lead to models that are signed off for the wrong reason.",
            beside(
                figure("“A simple model can be understood”", *map(_paragraph, self._simple())),
                figure("“An explained model can be trusted, and is fair”", *map(_paragraph, self._trust())),
            ),
        )

    def _simple(self) -> list[str]:
        if self.linear:
            own = (
                f"This model is as simple as models are: one layer, {count(self.parameters, 'number')}. Each can be "
                "read. But where two columns go along with each other, the same answers come of many different "
                "sets of numbers, and a weight's sign can turn round when another column is added."
            )
        else:
            own = (
                f"This model has {count(self.parameters, 'number')}, and nobody reads them. A linear model of the "
                "same data would have few, and reading them would not be understanding them: where two inputs go "
                "along with each other, the same answers come of many different weights, and signs can turn round "
                "when another input is added."
            )
        more = (
            "A short list of weights also says nothing of what the inputs themselves hide, such as which scanner "
            "made them. Being simple makes a model easier to test, not self-explaining."
        )
        return [own, more]

    def _trust(self) -> list[str]:
        three = (
            "Interpretability asks what an answer rests on. Trust asks whether the answer is right often enough, on "
            "patients like yours, and whether the model knows when it is not. Fairness asks for whom it is right. A "
            "model can have any of the three without the others: a clear map can belong to a wrong answer, and a "
            "model whose maps all lie on the lung can still miss more women than men."
        )
        return [three, self._here()]

    def _here(self) -> str:
        if self.worst is None or self.best is None or self.worst[0] == self.best[0]:
            return (
                "Trust is measured by scores on new patients, fairness by scores of each group; see the run's report."
            )
        name = score_name(self.headline)
        return (
            f"In this run the {name} is {score(self.worst[1])} at {self.worst[0]} and {score(self.best[1])} at "
            f"{self.best[0]}. No map on this page shows that; the run's report does."
        )


def misunderstandings(subject: Subject, asked: Asked, clock: Clock) -> Section:
    """Always."""
    network = subject.answering.network
    weighing = [module for module in network.modules() if list(module.parameters(recurse=False))]
    linear = len(weighing) == 1 and isinstance(weighing[0], nn.Linear)
    worst, best = _ends(subject.run)
    return Misunderstandings(
        subject.run.about.headline, sum(one.numel() for one in network.parameters()), linear, worst, best
    )


def _ends(run: Run) -> tuple[tuple[str, float] | None, tuple[str, float] | None]:
    final = run.final.get("test") or run.final.get("validation")
    scored = (
        {site: scores[run.about.headline] for site, scores in final.sites.items() if run.about.headline in scores}
        if final
        else {}
    )
    ordered = sorted(scored.items(), key=lambda one: one[1])
    return (ordered[0], ordered[-1]) if len(ordered) > 1 else (None, None)


def _paragraph(words: str) -> Markup:
    return tag("p", words)


make: Make = misunderstandings

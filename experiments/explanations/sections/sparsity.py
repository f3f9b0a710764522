"""How much of the network is silent, by depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from common.attribution.looks.sparsity import Sparsity, sparsity_by_depth
from experiments.explanations.clock import Clock
from experiments.explanations.section import Asked, Make, Section
from experiments.explanations.subject import Subject
from server.reporting.charts.lines import Line, line_chart
from server.reporting.markup import Markup, table
from server.reporting.sections.layout import beside, figure, numbers, section
from server.reporting.wording import NOTHING, count, percent, score

KEY = "sparsity"
CASES = 16


@dataclass(frozen=True)
class Sparse:
    """cases: over how many the means are."""

    layers: tuple[Sparsity, ...]
    cases: int

    @property
    def word(self) -> str:
        """In the contents."""
        return "Silence"

    def finding(self) -> str:
        """None."""
        return ""

    def facts(self) -> Mapping[str, Any]:
        """Everything."""
        return {"cases": self.cases, "layers": [asdict(one) for one in self.layers]}

    def markup(self) -> Markup:
        """Two charts."""
        lede = (
            "After each layer most networks set to zero whatever is negative, so that of any one case only some "
            "neurons speak. Deeper, fewer should: they stand for rarer things. Means over "
            f"{count(self.cases, 'case')}."
        )
        zeros = Line("exact zeros", tuple((one.depth + 1.0, one.zeros) for one in self.layers), "federated")
        never = Line("silent in all cases", tuple((one.depth + 1.0, one.silent) for one in self.layers), "pooled")
        sparse = Line("Hoyer", tuple((one.depth + 1.0, one.hoyer) for one in self.layers), "everybody")
        charts = beside(
            figure(
                "Share of neurons that are exactly 0",
                line_chart([zeros, never], describe="share of zeros by depth", x_word="layer", words=percent),
                note="Channels that are silent in all of these cases said nothing of any of them.",
            ),
            figure(
                "How gathered a layer's answer is",
                line_chart([sparse], describe="Hoyer's sparseness by depth", x_word="layer", words=score),
                note="Hoyer's sparseness: 1 where one neuron alone speaks, 0 where all speak alike (Hoyer 2004).",
            ),
        )
        rows = [
            [f"{one.depth + 1}", one.path or "the network", one.kind, f"{one.numbers:,}", percent(one.zeros),
             NOTHING if one.hoyer is None else score(one.hoyer), percent(one.silent)]
            for one in self.layers
        ]  # fmt: skip
        head = ["Layer", "Where", "What", "Numbers", "Exactly 0", "Hoyer", "Channels silent in all"]
        return section(
            KEY, "How much of it is silent?", lede, charts, numbers("As numbers", table(head, rows, words=3))
        )


def sparsity(subject: Subject, asked: Asked, clock: Clock) -> Section | None:
    """None of a network without a nonlinearity, and where there is no case to ask about."""
    pool = subject.pool
    if pool is None:
        return None
    clock.say("Silence by depth")
    chosen = pool.inputs[:: max(1, len(pool.inputs) // CASES)][:CASES]
    found = sparsity_by_depth(subject.answering.network, chosen)
    return Sparse(found, len(chosen)) if found else None


make: Make = sparsity

"""An adversary of your own: who looks, and what it has before it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from experiments.adversary import Adversary, View
from experiments.audit.run import Run


@dataclass(frozen=True)
class Mine:
    """rounds: the first so many are overheard."""

    who: ClassVar[str] = "somebody who overhears the first rounds"
    condition: ClassVar[str] = "connections are not encrypted"
    """What nobody promised and it takes all the same; "" of one that keeps to the protocol."""
    heading: ClassVar[str] = "If somebody overhears?"
    """Head of its own column in the table of lights; "" for none."""
    share: ClassVar[float] = 0.2
    """Of a question's seconds, beside other adversaries."""

    rounds: int = 1

    def views(self, run: Run) -> Iterator[View]:
        """At least one; with a `reason` where nothing can be played."""
        seen = run.observed
        singles = tuple(one for one in seen.singles if one.round <= self.rounds)
        sums = tuple(one for one in seen.sums if one.round <= self.rounds)
        models = {number: model for number, model in seen.models.items() if number <= self.rounds}
        early = replace(seen, observer="network", singles=singles, sums=sums, models=models)
        yield View(early, knowledge=f"all messages of the first {self.rounds} rounds")


adversary: type[Adversary] = Mine

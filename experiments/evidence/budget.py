"""How long an attack may go on, and how far it has come.

Seconds are those of the wall unless another clock is given: `WorkClock` counts what this process worked, so that an
attack does as much where other programs have the processor most of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter, process_time

MOST_WAITING = 10.0
"""Of the wall's seconds so many count as one of work at least: what only waits ends too."""


@dataclass(frozen=True)
class WorkClock:
    """Processor seconds of this process since it was made, and at least a tenth of the wall's."""

    worked: float = field(default_factory=process_time)
    begun: float = field(default_factory=perf_counter)

    def __call__(self) -> float:
        """Seconds."""
        return max(process_time() - self.worked, (perf_counter() - self.begun) / MOST_WAITING)


@dataclass
class Budget:
    """Seconds from now, by `clock`."""

    seconds: float
    clock: Callable[[], float] = perf_counter
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock()

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return self.clock() - self.begun

    @property
    def left(self) -> float:
        """Seconds until it ends; zero once it has."""
        return max(0.0, self.seconds - self.spent)

    def part(self, share: float) -> Budget:
        """A budget that begins now and takes `share` of what is left."""
        return Budget(self.left * share, self.clock)

    def progress(self, iteration: int, iterations: int) -> float:
        """From 0 to 1: of the iterations or of the time, whichever runs out first.

        Where the time is ample it depends on the iteration alone, so that an attack can be repeated exactly.
        """
        over_time = self.spent >= self.seconds
        share = iteration / iterations
        projected = self.spent / self.seconds if self.seconds > 0 else 1.0
        return 1.0 if over_time else max(share, projected if projected > share + 0.02 else share)

"""How a deformation is searched for, whatever its kind: what a user may turn, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from common.errors import StudyError
from common.registration.landmarks import Landmarks
from common.study.checks import between, one_of, positive

REGULARISERS = ("gaussian", "tv", "elastic")
FIT = {
    "bspline": ("gaussian",),
    "displacement": REGULARISERS,
    "velocity": ("gaussian", "elastic"),
}
MOST_ITERATIONS = 10_000


@dataclass(frozen=True)
class Plan:
    """smoothness: 1 is the usual one, more is stiffer, from .1 to 20. step: longest update in voxels, up to 2.

    iterations: at the finest level, the next coarser, ...; the last holds for all coarser ones; or one number; none
    is the usual. spacing_mm: between control points, none for a share of the image's size. regulariser: gaussian,
    tv (total variation, lets parts slide along each other) or elastic. landmarks: a term of the cost.
    """

    smoothness: float = 1.0
    iterations: int | Sequence[int] | None = None
    step: float = 1.0
    spacing_mm: float | None = None
    regulariser: str = "gaussian"
    landmarks: Landmarks | None = None

    def __post_init__(self) -> None:
        between("register", 0.1, 20, smoothness=self.smoothness)
        between("register", 0.05, 2, step=self.step)
        positive("register", spacing_mm=self.spacing_mm)
        one_of("register", REGULARISERS, regulariser=self.regulariser)
        for count in self._given:
            if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_ITERATIONS:
                raise StudyError(
                    f"register.iterations must be whole numbers from 1 to {MOST_ITERATIONS}, finest level first; "
                    f"they are {self.iterations!r}."
                )

    def check_kind(self, kind: str) -> None:
        """Raise StudyError where the regulariser has nothing to do with this kind of deformation."""
        if self.regulariser not in FIT[kind]:
            raise StudyError(
                f"register.regulariser '{self.regulariser}' does not go with transform '{kind}', "
                f"which takes {' or '.join(FIT[kind])}."
            )

    def count(self, usual: Sequence[int], from_finest: int) -> int:
        """Iterations of one level."""
        counts = self._given or tuple(usual)
        return counts[min(from_finest, len(counts) - 1)]

    def in_units(self, unit_mm: float) -> Plan:
        """Lengths in units."""
        spacing = None if self.spacing_mm is None else self.spacing_mm / unit_mm
        landmarks = None if self.landmarks is None else self.landmarks.scaled(1 / unit_mm)
        return replace(self, spacing_mm=spacing, landmarks=landmarks)

    @property
    def _given(self) -> tuple[int, ...]:
        if self.iterations is None:
            return ()
        given = self.iterations
        counts = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
        if not counts:
            raise StudyError("register.iterations must hold one number at least.")
        return counts

"""What a registration returns: the transform, the image, and how it got there."""

from __future__ import annotations

from dataclasses import dataclass

from common.data.image import Image
from common.registration.local_agreement import NOT_ASKED, Agreement
from common.registration.transform import Transform
from common.registration.used import Used


@dataclass(frozen=True)
class Stage:
    """One search on one level. shape: of the fixed image there; costs: one an evaluation or iteration."""

    kind: str
    shape: tuple[int, ...]
    costs: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class Registration:
    """transform: fixed world to moving world, mm. image: the moving image on the fixed lattice, float32.

    overlap: share of the fixed voxels that have a counterpart. negative_jacobian: share of them where space folds.
    cost: of the last stage, lower is better; its unit is the similarity's. doubts: what speaks against the result, a
    sentence each; where there is one, the search has probably failed. notes: what to know besides, a sentence each.
    used: what drove it, not to be judged by.
    agreement: of the images' parts with the transform. tried: each linear search, in turn, in words.
    """

    transform: Transform
    image: Image
    stages: tuple[Stage, ...]
    seconds: float
    overlap: float
    negative_jacobian: float
    doubts: tuple[str, ...] = ()
    agreement: Agreement = NOT_ASKED
    used: Used | None = None
    tried: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def similarity(self) -> str:
        """The name of the one that was used last."""
        return "" if self.used is None else self.used.similarity

    def as_json(self) -> dict[str, object]:
        """For machines: whether it failed, why, what was tried, the figures, and the matrix of a linear transform."""
        matrix = getattr(self.transform, "matrix", None)
        return {
            "failed": bool(self.doubts),
            "doubts": list(self.doubts),
            "notes": list(self.notes),
            "tried": list(self.tried),
            "similarity": self.similarity,
            "agreement": {"share": self.agreement.share, "parts": self.agreement.parts,
                          "by_chance": self.agreement.by_chance},
            "overlap": self.overlap,
            "negative_jacobian": self.negative_jacobian,
            "cost": self.cost,
            "seconds": self.seconds,
            "matrix": None if matrix is None else matrix.tolist(),
        }  # fmt: skip

    @property
    def cost(self) -> float:
        """The lowest of the last stage."""
        return min(self.stages[-1].costs, default=float("nan")) if self.stages else float("nan")

"""Scores of a reconstruction against the truth: how near it is, and whether it is this patient and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from experiments.attack import Reconstruction
from experiments.audit.questions._similarity import correlations, fitted, psnr_db, ssim
from experiments.evidence.ground_truth import Truth, others_than

MOST_COMPARED = 8
"""Of other patients' cases, those that correlate most: a structural similarity takes milliseconds."""


@dataclass(frozen=True)
class CaseScore:
    """One reconstructed case beside the true one it was assigned to.

    reconstructed, true: their indices. psnr_db; psnr_fitted_db and ssim_fitted: after an affine fit of each channel;
    ssim: NaN for tables. correlation: about each channel's mean. rank: 1 where the true patient is the most alike of
    all patients; candidates: how many patients were compared, so that by chance the first is right once in so many.
    rival: as in `rivals`.
    """

    reconstructed: int
    true: int
    patient: str
    site: str
    psnr_db: float
    psnr_fitted_db: float
    ssim: float
    ssim_fitted: float
    correlation: float
    rank: int
    candidates: int
    rival: float

    @property
    def recognised(self) -> bool:
        """Whether the true patient is the most alike, of at least two."""
        return self.rank == 1 and self.candidates > 1


@dataclass(frozen=True)
class ReconstructionScore:
    """All cases of one reconstruction, by the assignment that makes them most alike."""

    cases: tuple[CaseScore, ...]

    @property
    def figures(self) -> dict[str, float]:
        """Means over the cases; `best_` is the case that came back best, which is the one to worry about."""
        best = max(self.cases, key=lambda one: one.psnr_fitted_db)
        names = ("psnr_db", "psnr_fitted_db", "ssim", "ssim_fitted", "correlation")
        means = {name: float(np.mean([getattr(one, name) for one in self.cases])) for name in names}
        return means | {
            "best_psnr_db": max(one.psnr_db for one in self.cases),
            "best_psnr_fitted_db": best.psnr_fitted_db,
            "best_ssim": max(one.ssim for one in self.cases),
            "recognised_share": float(np.mean([one.recognised for one in self.cases])),
            "recognised_by_chance": float(np.mean([1 / one.candidates for one in self.cases])),
            "median_rank": float(np.median([one.rank for one in self.cases])),
            "candidates": float(self.cases[0].candidates),
        }


def score(reconstruction: Reconstruction, truth: Truth, everybody: Truth) -> ReconstructionScore:
    """Compare with `truth`, the cases of the update, and find each one's patient among `everybody`.

    Values that are not finite count as zero. PSNR and SSIM take the range of everybody's values as the span.
    """
    found = np.nan_to_num(reconstruction.inputs, posinf=0, neginf=0)
    span = float(np.ptp(everybody.inputs)) or 1.0
    pairs = assignment(correlations(found, truth.inputs))
    ranks, candidates = _ranks(found, pairs, truth, everybody)
    beside = rivals(found, truth, everybody, span)
    scores = []
    for (one, true), rank in zip(pairs, ranks, strict=True):
        scores.append(_case_score(one, true, found[one], truth, span, rank, candidates, beside[one]))
    return ReconstructionScore(tuple(scores))


def assignment(alike: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (row, column), each at most once, of the greatest sum (the Hungarian method, Kuhn 1955)."""
    rows, columns = linear_sum_assignment(alike, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]


def _ranks(
    found: NDArray[np.float32], pairs: list[tuple[int, int]], truth: Truth, everybody: Truth
) -> tuple[list[int], int]:
    """Of each pair: 1 and the number of other patients that are more alike than the true one; and of how many.

    A patient of several cases counts by the one that is most alike; the true patient by the true case itself.
    """
    patients, numbers = np.unique(np.array(everybody.patients), return_inverse=True)
    to_all = correlations(found, everybody.inputs)
    to_truth = correlations(found, truth.inputs)
    ranks = []
    for one, true in pairs:
        of_patients = np.full(len(patients), -np.inf)
        np.maximum.at(of_patients, numbers, to_all[one])
        others = patients != truth.patients[true]
        ranks.append(1 + int((of_patients[others] >= to_truth[one, true]).sum()))
    return ranks, len(patients)


def _case_score(
    one: int,
    true: int,
    found: NDArray[np.float32],
    truth: Truth,
    span: float,
    rank: int,
    candidates: int,
    rival: float,
) -> CaseScore:
    real = truth.inputs[true]
    best = fitted(real, found)
    return CaseScore(
        reconstructed=one,
        true=true,
        patient=truth.patients[true],
        site=truth.sites[true],
        psnr_db=psnr_db(real, found, span),
        psnr_fitted_db=psnr_db(real, best, span),
        ssim=ssim(real, found, span),
        ssim_fitted=ssim(real, best, span),
        correlation=float(correlations(found[None], real[None])[0, 0]),
        rank=rank,
        candidates=candidates,
        rival=rival,
    )


def rivals(found: NDArray[np.float32], truth: Truth, everybody: Truth, span: float) -> list[float]:
    """Of each reconstructed case (N, ...), the greatest similarity to a case of a patient not behind the update.

    Similarity: SSIM after an affine fit of each channel, for tables correlation. 0 without others.
    """
    others = everybody.inputs[others_than(truth, everybody)]
    if not len(others):
        return [0.0] * len(found)
    alike = correlations(found, others)
    nearest = np.argsort(-alike, axis=1)[:, :MOST_COMPARED]
    return [_likest(one, others[rows], row[rows], span) for one, row, rows in zip(found, alike, nearest, strict=True)]


def _likest(
    one: NDArray[np.float32], others: NDArray[np.float32], alike: Sequence[float] | NDArray[np.float64], span: float
) -> float:
    similar = [ssim(other, fitted(other, one), span) for other in others]
    return max(float(a) if isnan(s) else s for s, a in zip(similar, alike, strict=True))

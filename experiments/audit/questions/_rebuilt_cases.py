"""The cases that a reconstruction brought back best, each beside the true one, of every hospital behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan

import numpy as np

from common.seeding import generator
from common.study.study import Study
from experiments.attack import Reconstruction
from experiments.audit.questions._chance_of_similarity import Crowd, Similarities
from experiments.audit.questions._images_of_cases import images_of
from experiments.audit.questions._similarity import fitted
from experiments.audit.questions._similarity_to_patients import CaseScore, score
from experiments.audit.records import Rebuilt
from experiments.audit.report.images import pair_of
from experiments.evidence.ground_truth import Truth, others_than, truth_of

MOST_SHOWN = 4


def scored(
    study: Study, found: Sequence[Reconstruction], everybody: Truth, pictures: bool, tries: int
) -> tuple[dict[str, float], tuple[Rebuilt, ...]]:
    """Mean figures over the updates attacked, and the cases that came back best, of every hospital in them.

    tries: of all adversaries, over which chances are counted.
    """
    tables, shown = [], []
    seen = images_of(study, everybody) if any(one.of_images for one in found) else everybody
    crowd = Crowd.of(everybody, study.seed)
    crowds = {False: crowd, True: crowd if seen is everybody else Crowd.of(seen, study.seed)}
    for one in found:
        truth = truth_of(one.study or study, one.round, one.sites)
        if not len(truth):
            continue
        among = seen if one.of_images else everybody
        truth = images_of(study, truth) if one.of_images else truth
        scores = score(one, truth, among)
        tables.append(scores.figures)
        decoy = _decoy(one, truth, among, study.seed)
        similarities = Similarities.of(one, truth, among, crowds[one.of_images], tries * len(found))
        company = similarities.in_company()
        for case in scores.cases:
            chances = similarities.chance(case.reconstructed, case.true), company[case.site]
            shown.append(_rebuilt(case, one, truth, pictures, decoy, chances))
    names = tables[0] if tables else {}
    figures = {name: float(np.nanmean([table[name] for table in tables])) for name in names if _known(tables, name)}
    return figures, _best_of_each(shown)


def _known(tables: Sequence[dict[str, float]], name: str) -> bool:
    return not all(isnan(table[name]) for table in tables)


def _rebuilt(
    case: CaseScore, one: Reconstruction, truth: Truth, pictures: bool, decoy: float, chances: tuple[float, float]
) -> Rebuilt:
    original, guess = truth.inputs[case.true], np.nan_to_num(one.inputs[case.reconstructed], posinf=0, neginf=0)
    images = pair_of(original, fitted(original, guess)) if pictures else ("", "")
    similarity, place = (_similarity(case), case.psnr_fitted_db), (case.rank, case.candidates)
    return Rebuilt(case.site, *images, *similarity, *place, chances[0], decoy, case.rival, chances[1])


def _similarity(case: CaseScore) -> float:
    return case.correlation if isnan(case.ssim_fitted) else case.ssim_fitted


def _decoy(one: Reconstruction, truth: Truth, everybody: Truth, seed: int) -> float:
    """The best similarity that as many cases of other patients have, compared as the reconstruction was.

    Where the update rests on everybody, the mean case stands in for others.
    """
    drawn = generator(seed, "decoys").permutation(others_than(truth, everybody))[: len(one.inputs)]
    inputs = everybody.inputs[drawn] if len(drawn) else everybody.inputs.mean(0, keepdims=True)
    return max(_similarity(case) for case in score(replace(one, inputs=inputs), truth, everybody).cases)


def telling(one: Rebuilt) -> tuple[bool, bool, float]:
    return one.identifies, one.tells, one.ssim


def _best_of_each(found: Sequence[Rebuilt]) -> tuple[Rebuilt, ...]:
    sites = sorted({one.site for one in found})
    most = max(1, MOST_SHOWN // max(1, len(sites)))
    return tuple(one for site in sites for one in _best([one for one in found if one.site == site], most))


def _best(own: Sequence[Rebuilt], most: int) -> list[Rebuilt]:
    """The most telling, and the most alike even where nobody is recognised in it: each may decide the verdict."""
    shown = sorted(own, key=telling, reverse=True)[:most]
    likest = max(own, key=lambda one: (one.tells, one.ssim))
    return shown if likest in shown else [*shown, likest]

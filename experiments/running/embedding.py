"""What a model that learned without labels makes of cases: where they lie among each other, and which are alike.

In simulation only: every point is a case. The directions of the map come of sums of all hospitals alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from client.hospital import Hospital, open_hospital, site_names
from common.data.cases import Cases, SiteId
from common.files.access import if_there
from common.files.tensor_files import read_tensors
from common.learning.abilities import unlabelled
from common.learning.device import home, repeatable
from common.selfsupervision.components import Components, Moments, principal_components
from common.study.study import Study
from experiments.running.after_run import kept_as_problem, participants
from experiments.running.case_panels import plain_panels
from experiments.running.gallery import MODEL, picture_url
from server.run_folder import RunFolder

FILE = "embedding.json"
MOST_CASES = 600
"""Of all hospitals: more points hide each other."""
MOST_HOSPITALS, QUERIES, NEIGHBOURS = 8, 2, 5
CASES_A_BATCH = 64
PARTS = ("test", "validation", "train")


@dataclass(frozen=True)
class _Seen:
    """One hospital's cases and what the model makes of them. left_out: cases of which it makes no finite numbers."""

    site: SiteId
    cases: Cases
    features: NDArray[np.float64]
    words: tuple[str, ...]
    left_out: int = 0


def write_embedding(study: Study, folder: Path) -> None:
    """`embedding.json`, of a task that asks for no labels; nothing for others, or where the run has no model."""
    task = study.build_task()
    model = if_there(read_tensors, folder, MODEL) if unlabelled(task) else None
    if model is None:
        return
    parameters = {name: torch.from_numpy(tensor) for name, tensor in model.tensors.items()}
    took_part = participants(folder)
    sites = [(index, site) for index, site in enumerate(site_names(study)) if site in took_part]
    seen: list[_Seen] = []
    for index, site in sites:
        with kept_as_problem(folder, "pictures", site):
            seen.append(_of_hospital(open_hospital(study.json, index), parameters, max(2, MOST_CASES // len(sites))))
    seen = [one for one in seen if len(one.features)]
    if seen:
        RunFolder(folder).write_json(FILE, _table(seen))


def _table(seen: Sequence[_Seen]) -> dict[str, Any]:
    moments: Moments = reduce(add, (Moments.of(one.features) for one in seen))
    components = principal_components(moments)
    return {
        "cases": moments.count,
        "left_out": sum(one.left_out for one in seen),
        "width": len(moments.total),
        "shares": components.shares.tolist(),
        "points": [point for one in seen for point in _points(one, components)],
        "neighbours": [row for one in seen[:MOST_HOSPITALS] for row in _neighbours(one)],
    }


def _points(one: _Seen, components: Components) -> list[dict[str, Any]]:
    places = components.of(one.features)
    return [
        {"site": one.site, "label": word, "place": place.tolist()}
        for place, word in zip(places, one.words or ("",) * len(places), strict=True)
    ]


def _neighbours(one: _Seen) -> list[dict[str, Any]]:
    """Of a case in the middle of each half of the list, those of other persons that are most alike.

    By the cosine of features less their mean: what all cases share would make all of them alike.
    """
    centred = one.features - one.features.mean(0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = centred / np.where(lengths > 0, lengths, 1)
    rows = []
    for query in sorted({len(unit) * (2 * place + 1) // (2 * QUERIES) for place in range(QUERIES)}):
        others = np.flatnonzero(one.cases.patients != one.cases.patients[query])
        similarity = unit[others] @ unit[query]
        best = np.argsort(-similarity, kind="stable")[:NEIGHBOURS]
        found = [_card(one, int(others[at]), float(similarity[at])) for at in best]
        if found:
            rows.append({"site": one.site, "asked": _card(one, query, None), "found": found})
    return rows


def _card(one: _Seen, index: int, similarity: float | None) -> dict[str, Any]:
    inputs = one.cases.batch(np.array([index])).inputs[0, 0].numpy()
    ((_, pixels),) = plain_panels({"": inputs})
    return {"picture": picture_url(pixels), "label": one.words[index] if one.words else "", "similarity": similarity}


def _of_hospital(hospital: Hospital, parameters: Mapping[str, torch.Tensor], most: int) -> _Seen:
    cases = next((one for part in PARTS if len(one := hospital.splits[part])), hospital.splits["test"])
    if len(cases) > most:
        cases = cases.take(np.linspace(0, len(cases) - 1, most).round().astype(np.int64))
    hospital.network.load_state_dict(parameters, strict=False)
    hospital.network.eval()
    found = []
    with torch.no_grad(), repeatable(home(hospital.network)):
        for start in range(0, len(cases), CASES_A_BATCH):
            inputs = cases.batch(slice(start, start + CASES_A_BATCH)).inputs.to(home(hospital.network))
            found.append(hospital.task.predict(hospital.network, inputs).cpu().double().flatten(1).numpy())
    features = np.concatenate(found) if found else np.zeros((0, 0))
    fine = np.flatnonzero(np.isfinite(features).all(1))
    return _Seen(hospital.site, cases.take(fine), features[fine], _words(cases.take(fine)), len(cases) - len(fine))


def _words(cases: Cases) -> tuple[str, ...]:
    """The class of each case where the source knows it, though the task did not ask; () otherwise."""
    targets = cases.columns["targets"]
    if not cases.classes or cases.unlabelled:
        return ()
    if targets.item == ():
        return tuple(cases.classes[index] for index in cases.targets.tolist())
    return tuple(
        f"shows {cases.classes[1]}" if piece.any() else f"{cases.classes[0]} only"
        for piece in cases.pieces("targets")
    )

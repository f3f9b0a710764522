"""Pictures of images, truth and prediction for the report. In simulation only: no image leaves a real hospital."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from client.evaluation import evaluate_patients
from client.hospital import Hospital, open_hospital, site_names
from common.data.cases import Cases, SiteId
from common.files.access import if_there
from common.files.tensor_files import read_tensors
from common.learning.abilities import abilities, can
from common.learning.device import home, repeatable
from common.learning.panels import Panel
from common.registration.learned.spatial_transformer import warp
from common.study.study import Study
from experiments.running.after_run import kept_as_problem, participants
from experiments.running.case_panels import Panels, outline_panels, pair_panels, plain_panels
from experiments.running.windowed_panels import pixels_of
from server.run_folder import RunFolder

COLOURS = np.array(
    [[0, 0, 0], [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [204, 121, 167], [213, 94, 0]],
    dtype=np.uint8,
)
"""Okabe and Ito's palette, safe for colour-blind readers; background is left out."""
MODEL = "model.safetensors"
MOST_HOSPITALS = 12
SMALLEST_SIDE = 128
EXTREMES = 3
OPACITY = 0.62
Known = Mapping[tuple[SiteId, str], float]
"""The headline by hospital and patient."""


def write_pictures(study: Study, folder: Path, known: Known | None = None) -> None:
    """`pictures.json`: for each hospital that took part the test patient of median score; of all the worst and best.

    What is drawn the task says. Of slices the one with most to outline; of a volume three planes; of a pair of images
    both and the moved one. Nothing is written for tasks that say nothing, or where the run has no model. known: the
    headline of every test patient, where it was worked out before; without it there are no worst and best.
    """
    model = if_there(read_tensors, folder, MODEL) if can(study.build_task(), "drawn") else None
    if model is None:
        return
    parameters = {name: torch.from_numpy(t) for name, t in model.tensors.items()}
    took_part = participants(folder)
    sites = [(index, site) for index, site in enumerate(site_names(study)) if site in took_part][:MOST_HOSPITALS]
    pictures: list[dict[str, Any]] = []
    for index, site in sites:
        with kept_as_problem(folder, "pictures", site):
            pictures.append(_picture(open_hospital(study.json, index), parameters, known))
    drawable = {picture["site"] for picture in pictures if picture}
    places = {site: index for index, site in sites if site in drawable}
    pictures += _extremes(study, parameters, places, known or {}, folder)
    RunFolder(folder).write_json("pictures.json", [picture for picture in pictures if picture])


def _extremes(
    study: Study, parameters: dict[str, torch.Tensor], sites: Mapping[SiteId, int], known: Known, folder: Path
) -> list[dict[str, Any]]:
    """The test patients of lowest and of highest score, the most extreme first; none is both."""
    ordered = sorted((one for one in known if one[0] in sites), key=lambda one: (known[one], one))
    count = min(EXTREMES, len(ordered) // 2)
    rows = [("worst", one) for one in ordered[:count]] + [
        ("best", one) for one in reversed(ordered[-count:] * (count > 0))
    ]
    found = []
    for rank, (site, patient) in rows:
        with kept_as_problem(folder, "pictures", site):
            one = _picture(
                open_hospital(study.json, sites[site]), parameters, {(site, patient): known[site, patient]}
            )
            found.append({**one, "rank": rank} if one else {})
    return found


def _picture(hospital: Hospital, parameters: dict[str, torch.Tensor], known: Known | None = None) -> dict[str, Any]:
    """known: of which patients the median is drawn, with their scores; None: of all."""
    cases, drawn = hospital.splits["test"], abilities(hospital.task).drawn
    if len(cases) == 0 or (drawn == "outlines" and len(cases.shape.inputs) not in (3, 4)):
        return {}
    hospital.network.load_state_dict(parameters, strict=False)
    patient, score = _median_patient(hospital, cases, known)
    own = cases.take(np.flatnonzero(cases.patients == patient))
    outlines = _slice if len(cases.shape.inputs) == 3 else _volume
    draw = {"outlines": outlines, "pair": _pair, "panels": _own_panels}[drawn]
    with torch.no_grad(), repeatable(home(hospital.network)):
        return {"site": hospital.site, "patient": patient, "score": score, **draw(hospital, own)}


def _slice(hospital: Hospital, own: Cases) -> dict[str, Any]:
    index = int(np.argmax([(targets > 0).sum() for targets in own.pieces("targets")]))
    slices, truth, prediction = _predicted(hospital, own, index)
    image = _grey(slices[0])
    return {
        "image": picture_url(image),
        "truth": picture_url(_overlay(image, truth)),
        "prediction": picture_url(_overlay(image, prediction)),
    }


def _volume(hospital: Hospital, own: Cases) -> dict[str, Any]:
    volumes, truth, prediction = _predicted(hospital, own, 0)
    return _panels(outline_panels(volumes[0], truth, prediction, COLOURS))


def _predicted(hospital: Hospital, own: Cases, index: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """One case's channels, its truth and what the network says of it."""
    one = own.batch(np.array([index]))
    prediction = hospital.task.predict(hospital.network, one.inputs.to(home(hospital.network)))[0]
    return one.inputs[0].numpy(), one.targets[0].numpy(), prediction.cpu().numpy()


def _pair(hospital: Hospital, own: Cases) -> dict[str, Any]:
    inputs = own.batch(np.array([0])).inputs.to(home(hospital.network))
    moved = warp(inputs[:, :1], hospital.network(inputs).float())[0, 0].cpu().numpy()
    return _panels(pair_panels(own.inputs[0, 0], own.inputs[0, 1], moved))


def _own_panels(hospital: Hospital, own: Cases) -> dict[str, Any]:
    shown = abilities(hospital.task).panels(hospital.network, own.batch(np.array([0])))
    return {"panels": [_own_panel(name, one) for name, one in shown.items()]}


def _own_panel(name: str, one: torch.Tensor | Panel) -> dict[str, str]:
    if isinstance(one, Panel):
        return {"name": name, "picture": picture_url(pixels_of(one, name)), "note": one.note}
    ((_, pixels),) = plain_panels({name: one.detach().cpu().numpy()})
    return {"name": name, "picture": picture_url(pixels)}


def _panels(panels: Panels) -> dict[str, Any]:
    return {"panels": [{"name": name, "picture": picture_url(pixels)} for name, pixels in panels]}


def _median_patient(hospital: Hospital, cases: Cases, known: Known | None) -> tuple[str, float | None]:
    scored = [(score, patient) for (site, patient), score in (known or {}).items() if site == hospital.site]
    single = evaluate_patients(hospital.task, hospital.network, cases) if known is None else {}
    for patient, means in single.items():
        if (mean := means[hospital.task.headline]).weight_units:
            scored.append((mean.value, patient))
    if not scored:
        return str(cases.patients[0]), None
    score, patient = sorted(scored)[len(scored) // 2]
    return patient, score


def _grey(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W, 3): the middle 99 % of the intensities as black to white."""
    low, high = np.percentile(pixels, (0.5, 99.5))
    scaled = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1)
    return np.repeat((255 * scaled).astype(np.uint8)[..., None], 3, axis=2)


def _overlay(image: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    index = np.where(labels > 0, 1 + (labels.astype(np.int64) - 1) % (len(COLOURS) - 1), 0)
    mixed = (1 - OPACITY) * image + OPACITY * COLOURS[index]
    return np.where((labels > 0)[..., None], mixed, image).astype(np.uint8)


def picture_url(pixels: NDArray[np.uint8]) -> str:
    """A PNG within the page, enlarged where it is small."""
    picture = Image.fromarray(pixels)
    factor = max(1, SMALLEST_SIDE // min(picture.size))
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

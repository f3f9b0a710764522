"""From a run folder and a question to a page, its figures and the images themselves."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.errors import StudyError
from common.files.access import private_folder, write
from experiments.counterfactuals.asked import actions_of
from experiments.counterfactuals.classifier_bias import ClassifierBias, measure_bias
from experiments.counterfactuals.found import Found, find, model_of
from experiments.counterfactuals.page import figures_of, not_learned, page_of
from experiments.counterfactuals.persons import Whose, cases_of
from experiments.prediction.trained import load_trained

PAGE, FIGURES, IMAGES = "counterfactuals.html", "counterfactuals.json", "counterfactuals.npz"


@dataclass(frozen=True)
class Asked:
    """actions: words such as "thickness=4". classifier: run folder, and the class whose chance is the score."""

    actions: tuple[str, ...] = ()
    whose: Whose = field(default_factory=Whose)
    classifier: Path | None = None
    of: str = ""
    mediated: bool = False


@dataclass(frozen=True)
class Written:
    """The page, and the first things that it says."""

    page: Path
    sentences: tuple[str, ...]
    found: Found
    bias: ClassifierBias | None


def answer(run: Path, asked: Asked, out: Path) -> Written:
    """Write the page, its figures as JSON, and all images as .npz. Raises StudyError where it cannot be answered."""
    if asked.of and asked.classifier is None:
        raise StudyError("--of names a class of a classifier: name its run folder with --classifier.")
    trained = load_trained(run)
    _, causes = model_of(trained)
    actions = actions_of(asked.actions, causes)
    cases, sites = cases_of(trained, asked.whose)
    found = find(trained, cases, sites, actions)
    bias = None if asked.classifier is None else measure_bias(found, load_trained(asked.classifier), asked.of)
    folder = private_folder(out)
    text = json.dumps(figures_of(found, bias), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write(folder, FIGURES, text)
    write(folder, IMAGES, _packed(found))
    page = write(folder, PAGE, page_of(found, trained.title or run.name, bias, asked.mediated))
    return Written(page, tuple(_sentences(found, bias)), found, bias)


def _packed(found: Found) -> bytes:
    """images (N, ...), causes (N, K), and action_1, action_2, ... with causes_1, ... in the order asked for."""
    held = {"images": found.cases.inputs, "causes": found.cases.targets}
    for number, outcome in enumerate(found.outcomes, start=1):
        held[f"action_{number}"] = outcome.images["total"]
        held[f"causes_{number}"] = outcome.values.astype(np.float32)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **held)  # type: ignore[arg-type]  # its stub takes names for options
    return buffer.getvalue()


def _sentences(found: Found, bias: ClassifierBias | None) -> list[str]:
    said = []
    for outcome in found.outcomes:
        taken = [
            f"{name} {seen.mean():.4g} measured, {outcome.values[:, at].mean():.4g} wanted"
            for at, name in enumerate(cause.name for cause in found.causes)
            if (seen := outcome.measured.get(name)) is not None
        ]
        said.append(f"{outcome.words}: {'; '.join(taken)}" if taken else outcome.words)
    said += [
        f"{name}: {value:.2f} grey levels from the true counterfactual" for name, value in found.distances.items()
    ]
    said += [warning] if (warning := not_learned(found)) else []
    for shift in bias.shifts if bias else ():
        said.append(
            f"{shift.words}: score of {bias.of if bias else ''} {shift.change:+.3f} "
            f"({shift.low:+.3f} to {shift.high:+.3f})"
        )
    return said

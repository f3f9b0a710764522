"""Counterfactuals of many patients: images, what was measured in them, and how far they are from the true ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.causality.deep.axioms import grey_distance
from common.causality.deep.measures import MEASURES
from common.causality.deep.model import Cause, DeepModel, Path
from common.data.cases import Cases
from common.errors import StudyError
from common.seeding import torch_generator
from experiments.counterfactuals.asked import Action, words_of
from experiments.prediction.trained import Trained

Images = NDArray[np.float32]
Known = tuple[Images | None, Images | None, NDArray[np.float64] | None]
Answer = Callable[[Tensor, Tensor, int], Tensor]
"""Of images, values, and the place of the first of them."""
AT_ONCE = 64
DRAWS = 8
"""Of the posterior's noise, for how sure a picture is."""
NO_NEARER = 0.95
"""Share of the unchanged image's distance to the truth from which a model has learned nothing of an action."""
PATHS: tuple[Path, ...] = ("total", "direct", "indirect")


@dataclass(frozen=True)
class Outcome:
    """One action, of all N patients. images: (N, C, H, W) in [0, 1], by kind of path. values: (N, K) causes then.

    doubt: (N, C, H, W) standard deviation over draws of the posterior's noise. measured: of causes that can be, the
    (N,) values found in the total effect's images.
    """

    action: Action
    images: Mapping[Path, Images]
    values: NDArray[np.float64]
    doubt: Images
    measured: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """do(...)."""
        return words_of(self.action)


@dataclass(frozen=True)
class Found:
    """cases: as they are. sites: (N,). truths: (K, N, C, H, W) where the data know them: under action number k the
    true images, whose causes are `done`, (K, N, causes), and the model's `answers`; None where nothing is known.
    """

    causes: tuple[Cause, ...]
    graph: str
    cases: Cases
    sites: NDArray[np.str_]
    outcomes: tuple[Outcome, ...]
    composition: float
    truths: Images | None = None
    answers: Images | None = None
    done: NDArray[np.float64] | None = None

    @property
    def distances(self) -> dict[str, float]:
        """Mean grey levels between the model's counterfactuals and the true ones, by cause."""
        if self.truths is None or self.answers is None:
            return {}
        pairs = zip(self.causes, self.answers, self.truths, strict=True)
        return {
            cause.name: float(grey_distance(torch.from_numpy(a), torch.from_numpy(t)).mean()) for cause, a, t in pairs
        }

    @property
    def unchanged(self) -> dict[str, float]:
        """Mean grey levels between images left as they are and the true counterfactuals, by cause."""
        if self.truths is None:
            return {}
        still = torch.from_numpy(self.cases.inputs)
        pairs = zip(self.causes, self.truths, strict=True)
        return {cause.name: float(grey_distance(still, torch.from_numpy(truth)).mean()) for cause, truth in pairs}

    @property
    def not_learned(self) -> tuple[str, ...]:
        """Causes under whose action an image left as it is would be as near to the truth as the model's."""
        unchanged = self.unchanged
        return tuple(name for name, value in self.distances.items() if value >= NO_NEARER * unchanged[name] > 0)


def model_of(trained: Trained) -> tuple[DeepModel, tuple[Cause, ...]]:
    """The causal model of a run. Raises StudyError where the run learned none."""
    if not isinstance(trained.network, DeepModel):
        raise StudyError(
            f"{trained.folder} learned task {trained.entries['task'].name!r}; counterfactuals take a run of task "
            "'deep_scm'."
        )
    return trained.network, tuple(trained.network.causes.values())


def find(trained: Trained, cases: Cases, sites: NDArray[np.str_], actions: Sequence[Action]) -> Found:
    """All actions on all cases, a batch at a time."""
    model, causes = model_of(trained)
    seed = trained.table.get("seed", 0)
    outcomes = tuple(_outcome(model, causes, cases, action, seed if type(seed) is int else 0) for action in actions)
    again = _over(cases, lambda images, values, _: model.counterfactual(images, values, {}, keep_pixels=False)[0])
    composed = float(grey_distance(torch.from_numpy(again), torch.from_numpy(cases.inputs)).mean())
    known = _known(model, causes, cases)
    return Found(
        causes, str(trained.entries["task"].options.get("graph", "")), cases, sites, outcomes, composed, *known
    )


def _outcome(model: DeepModel, causes: Sequence[Cause], cases: Cases, action: Action, seed: int) -> Outcome:
    images = {path: _over(cases, partial(_along, model, action, path)) for path in PATHS}
    acted = _over(cases, lambda shown, values, _: model.counterfactual(shown, values, action)[1])
    total = images["total"].clip(0, 1)
    measured = {
        cause.name: np.array([MEASURES[cause.measure](one.astype(np.float64)) for one in total])
        for cause in causes
        if cause.measure
    }
    doubt = _over(cases, lambda shown, values, start: _doubt(model, shown, values, action, seed, start))
    kept = {path: one.clip(0, 1) for path, one in images.items()}
    return Outcome(action, cast(Mapping[Path, Images], kept), acted.astype(np.float64), doubt, measured)


def _along(model: DeepModel, action: Action, path: Path, images: Tensor, values: Tensor, _: int) -> Tensor:
    return model.along(images, values, action, path)


def _doubt(model: DeepModel, images: Tensor, values: Tensor, action: Action, seed: int, start: int) -> Tensor:
    """Standard deviation over draws of the latents' noise; the pixels' follows from each."""
    made = []
    for number in range(DRAWS):
        drawn = torch_generator(seed, "counterfactual", start, number)
        noise = torch.randn(len(images), model.image_mechanism.noise_length, generator=drawn)
        made.append(model.counterfactual(images, values, action, noise=noise)[0].clamp(0, 1))
    return torch.stack(made).std(0)


def _known(model: DeepModel, causes: Sequence[Cause], cases: Cases) -> Known:
    if "counterfactual" not in cases.columns or "done" not in cases.columns:
        return None, None, None
    truths = np.moveaxis(cases.array("counterfactual"), 1, 0)
    done = np.moveaxis(cases.array("done").astype(np.float64), 1, 0)
    answers = []
    for column, cause in enumerate(causes):
        to = torch.from_numpy(done[column, :, column].astype(np.float32))

        def answer(images: Tensor, values: Tensor, start: int, name: str = cause.name, to: Tensor = to) -> Tensor:
            return model.counterfactual(images, values, {name: to[start : start + len(images)]})[0]

        answers.append(_over(cases, answer).clip(0, 1))
    return truths, np.stack(answers), done


def _over(cases: Cases, made: Answer) -> Images:
    """What `made` answers for images, values and the place of the first of them, for all cases."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(cases), AT_ONCE):
            batch = cases.batch(slice(start, start + AT_ONCE))
            parts.append(made(batch.inputs, batch.targets.float(), start))
    whole = torch.cat(parts)
    if not whole.isfinite().all():
        raise StudyError(
            "the model answers with numbers that are not finite: its training diverged, or a value is absurd."
        )
    return np.asarray(whole.numpy(), np.float32)

"""An encoder that has learned from a person makes the same of them however they are shown.

Liu, Jia, Qu and Gong 2021, EncoderMI: Membership inference against pre-trained encoders in contrastive learning
(CCS), section 4.3, EncoderMI-T: views of a case are more alike to an encoder that was trained on it than to one that
was not. The attacker draws its own crops, and needs neither the task's loss nor what lies behind the encoder. A case
that anybody finds easy looks alike to all encoders, so what the encoder of the first round makes of it, which nobody
trained, is taken off where that is seen (difficulty calibration, Watson et al. 2022, On the importance of difficulty
calibration in membership inference attacks, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from common.data.cases import Batch, Cases
from common.learning.abilities import views
from common.learning.device import home
from common.learning.parameters import write
from common.selfsupervision.drawn_views import seen
from common.selfsupervision.held import generators_of
from common.study.catalogue import AUGMENTATIONS
from common.study.checks import between
from common.study.options import Entry
from common.sums.update import Vector
from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.membership.pool import FINAL_MODEL, by_hospital
from experiments.evidence.target_model import Floats, Target
from experiments.observation import Observation

CROPS = Entry("grey")
TOGETHER = 64
FEWEST_FEATURES = 2
NO_FEATURES = "it compares features of views, and the task learns of no views: its network answers something else"


@dataclass(frozen=True)
class ViewSimilarity:
    """shown: how often every case is shown, each time otherwise."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Liu et al. 2021, EncoderMI (CCS), section 4.3"
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates",)
    per: ClassVar[Per] = "run"
    share: ClassVar[float] = 0.3
    called: ClassVar[str] = "taking whom the encoder knows however they are shown"
    words: ClassVar[str] = "takes for patients of the study those of whom the encoder makes the same in every crop"

    shown: int = 10

    def __post_init__(self) -> None:
        between("attack", 2, 1000, shown=self.shown)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Scores are mean cosines between features of views, less those of the model that the study begins with."""
        if not _answers_features(observed):
            return Finding("view_similarity", observed.observer, False, NO_FEATURES)
        target = Target.of(observed)
        first = observed.models.get(min(observed.models))

        def scored(_site: object, cases: Cases, _budget: object) -> Floats:
            learned = self._similarity(target, observed.final_model, cases)
            known = min(observed.models) < max(observed.models) and first is not None
            return learned - self._similarity(target, first, cases) if known and first is not None else learned

        return by_hospital("view_similarity", self, observed, budget_seconds, scored, FINAL_MODEL, by_loss=False)

    def _similarity(self, target: Target, parameters: Vector, cases: Cases) -> Floats:
        """(N,) mean cosine of all pairs of views of a case."""
        write(target.network, parameters)
        target.network.eval()
        found = []
        with torch.no_grad():
            for start in range(0, len(cases), TOGETHER):
                batch = cases.batch(slice(start, start + TOGETHER)).to(home(target.network))
                found.append(self._of_batch(target, batch))
        return np.nan_to_num(np.concatenate(found))

    def _of_batch(self, target: Target, batch: Batch) -> Floats:
        features = torch.stack([self._features(target, batch.inputs, number) for number in range(self.shown)], dim=1)
        unit = normalize(features.double(), dim=2)
        pairs = unit.sum(1).square().sum(1) - self.shown
        return np.asarray((pairs / (self.shown * (self.shown - 1))).cpu().numpy())

    def _features(self, target: Target, inputs: Tensor, number: int) -> Tensor:
        crops, shape = AUGMENTATIONS.build(CROPS), tuple(inputs.shape[1:])
        draws = [crops.draw(rng, shape) for rng in generators_of(inputs, f"crops of an attacker, {number}")]
        return target.task.predict(target.network, seen(CROPS, inputs, torch.from_numpy(np.stack(draws))))


def _answers_features(observed: Observation) -> bool:
    """Of a task that learns from views of images: (N, F) real numbers."""
    task, shape = observed.study.build_task(), observed.shape.inputs
    if not views(task) or len(shape) < 3:
        return False
    target = Target.of(observed)
    with torch.no_grad():
        answered = task.predict(target.network, torch.zeros(1, *shape, device=home(target.network)))
    return answered.ndim == 2 and answered.shape[1] >= FEWEST_FEATURES and answered.is_floating_point()


attack: type[Attack] = ViewSimilarity

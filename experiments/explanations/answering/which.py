"""Which answering a run's model has, by what its task can do."""

from __future__ import annotations

from torch import nn

from client.source_abilities import label_of
from common.errors import StudyError
from common.learning.abilities import can, outlines, unlabelled
from common.selfsupervision.encoder import encoder_within
from experiments.explanations.answering.classes import Classes
from experiments.explanations.answering.features import Features
from experiments.explanations.answering.outlines import Outlines
from experiments.explanations.answering.real_numbers import Numbers
from experiments.explanations.answering.role import Answering
from experiments.prediction.trained import Trained

IMAGES = (
    "its model answers with images, and this page explains what an answer about a case rests on: a class, a number "
    "or an outline. What such a model makes of cases is in the run's report."
)


def answering_of(trained: Trained) -> Answering:
    """Raises StudyError in words where nothing that the model answers can be explained."""
    task, network = trained.task, trained.network
    if not any(True for _ in network.parameters()):
        raise StudyError(
            "there is nothing to explain: the model is a file of another program (onnx, torchscript), into which "
            "this one cannot look."
        )
    if can(task, "numbers"):
        return Numbers(task, network, label_of(trained.source))
    if can(task, "logits") and trained.classes:
        return (Outlines if outlines(task) else Classes)(task, network, trained.classes)
    if unlabelled(task):
        return Features(_encoder(trained))
    raise StudyError(f"there is nothing to explain: {IMAGES}")


def _encoder(trained: Trained) -> nn.Module:
    try:
        found, _ = encoder_within(trained.task, trained.network, trained.learned.shape)
    except StudyError as error:
        raise StudyError(f"there is nothing to explain: {IMAGES} ({error})") from error
    return found.eval()

"""What a study's training means for those who approve it, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from common.compression.cost import compression_words
from common.learning.client_work import CURVATURE, REACH
from common.study.catalogue import STRATEGIES
from common.study.study import Study
from common.study.truth_checks import reads_labels_for_nothing

BESIDE = {
    REACH: "how many gradients its change is the sum of, which follows from its steps",
    CURVATURE: "a number made of its training loss before the round and of how far its model moved",
}


def told_beside(study: Study) -> tuple[str, ...]:
    """What leaves a hospital beside its update, loss and usual scores, or in its place, because the study asks."""
    asked = STRATEGIES.build(study.strategy).work().beside
    return (*compression_words(study), *_of_strategy(study, asked), *_fine_tuned(study))


def _fine_tuned(study: Study) -> Iterator[str]:
    wanted = study.fine_tuning
    if wanted is None:
        return
    how_long = _count(wanted.epochs, "epoch") if wanted.steps is None else _count(wanted.steps, "step")
    what = f" of the parameters that fit {', '.join(wanted.parameters)}" if wanted.parameters else ""
    yield (
        f"After the last round each hospital trains the model for {how_long} more on its own training cases{what}; "
        "that model stays in the hospital's folder. Its scores on the hospital's test patients leave beside those of "
        "the federation's model, by the same aggregation."
    )


def _count(number: int, word: str) -> str:
    """ "1 epoch", "2 epochs"."""
    return f"{number} {word}{'s' * (number != 1)}"


def _of_strategy(study: Study, asked: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"Beside its update each hospital tells {BESIDE[name]} ({name}), by the aggregation that its update travels "
        f"by: strategy {study.strategy.name!r} needs it."
        for name in asked
    )


def training_remarks(study: Study) -> tuple[str, ...]:
    """What is learned otherwise than by every case counting alike, and how the run may end."""
    return tuple(_remarks(study))


def _remarks(study: Study) -> Iterator[str]:
    training = study.training
    if reads_labels_for_nothing(study.build_task(), study.source, study.partition):
        yield (
            f"Task {study.task.name!r} looks at no label, and source {study.source.name!r} reads them: a case whose "
            "label is absent or broken is put aside. source.unlabelled = true reads images alone."
        )
    if training.class_weights == "own":
        yield (
            "Each hospital weighs classes by its own counts (training.class_weights = 'own'): every hospital "
            "minimises an objective of its own, and the federation their mean."
        )
    if training.calibration is not None:
        yield (
            "In training each hospital's logits are raised by the logarithm of its own share of each class "
            "(training.calibration = 'own'): every hospital minimises an objective of its own, and the federation "
            "their mean."
        )
    if training.sampling == "by_class":
        yield (
            "Each hospital draws its classes evenly, whatever its own mixture (training.sampling = 'by_class'): what "
            "is minimised is the mean over hospitals of their classes' mean losses, and the mean training loss that "
            "is told is of the cases as they were drawn."
        )
    if training.freeze:
        yield f"Parameters that fit {', '.join(training.freeze)} are not trained and do not travel (training.freeze)."
    if training.bootstrap is not None:
        yield (
            f"Hospitals train on draw {training.bootstrap} of their patients, with replacement (training.bootstrap): "
            "the model is to show how much depends on who was there."
        )
    if training.label_share is not None:
        yield (
            f"Of each hospital's training persons {100 * training.label_share:g} % are learned from, class by class, "
            f"by draw {training.label_draw or 0} (training.label_share, training.label_draw); the labels of the "
            "others are not used, and no step sees them."
        )
    if study.start is not None and (training.freeze or training.personal):
        yield (
            "The model that the study begins from comes to each hospital once, whole, since a part of it does not "
            "travel later; it is checked by its digest (start.sha256)."
        )
    if training.personal:
        yield (
            f"Parameters that fit {', '.join(training.personal)} learn and stay in the hospital (training.personal): "
            "each has its own, its scores are of the shared model with these, and the model that the run leaves "
            "has them as they were at first."
        )
    if study.stopping is not None:
        score = study.stopping.score or "the task's headline score"
        kept = "the best by that score" if study.stopping.keep == "best" else "the last"
        yield (
            f"The run ends early where {score} has not improved for {study.stopping.patience} evaluations on "
            f"{study.federation.evaluate_split} cases, and keeps the model that is {kept}: scores on these cases are "
            "then better than on new ones."
        )

"""What a study's `[training]` may not be beside its strategy, its task and its promise."""

from __future__ import annotations

from dataclasses import fields

from common.errors import StudyError
from common.learning.abilities import calibrates, companion, weighs_classes
from common.learning.client_work import Training, Work
from common.learning.task import Task

OF_GRADIENTS_TOO = (
    "batch_size",
    "precision",
    "class_weights",
    "class_counts",
    "calibration",
    "sampling",
    "freeze",
    "personal",
    "bootstrap",
    "label_share",
    "label_draw",
)
"""Options that also say what one gradient is of; all others are of local steps."""
PERSONAL_UNITS = ("patient", "sample")


def check_training(training: Training, strategy: str, work: Work) -> None:
    """Raise StudyError where hospitals take no step of their own, or steps that the strategy cannot correct."""
    _check_warm_up(training)
    if work.sends == "gradient":
        _refuse_local_steps(training, strategy)
    corrections = ("controlled", "normalised")
    if any(getattr(work, name) for name in corrections):
        _demand_plain_steps(training, strategy, work)


def check_classes(training: Training, task: Task, name: str) -> None:
    """Raise StudyError where the task does not weigh its classes, or calibrate them, and should."""
    _check_calibration(training, task, name)
    if training.class_weights is not None and not weighs_classes(task):
        reason = "it learns no classes, or its loss does not weigh them"
        if name == "segmentation":
            reason = "task.cross_entropy_weight is 0, and the Dice loss counts each class alike already"
        raise StudyError(f"training.class_weights has no effect on task {name!r}: {reason}. Remove the setting.")


def _check_calibration(training: Training, task: Task, name: str) -> None:
    """Raise StudyError where the task's loss does not raise its logits."""
    if training.calibration is not None and not calibrates(task):
        raise StudyError(
            f"training.calibration raises logits of classes in the loss, and task {name!r} does not: remove it."
        )


def check_personal(training: Training, strategy: str, work: Work, task: Task, keep: str | None) -> None:
    """Raise StudyError where parts that stay in the hospitals would be wrong, or would never be trained.

    keep: which model of a run that may end early is kept; None: none does.
    """
    if not training.personal:
        return
    if work.sends == "gradient":
        raise StudyError(
            f"training.personal learns by steps of the hospital's own, and strategy {strategy!r} takes none there: "
            "choose strategy 'fedavg'."
        )
    if work.controlled:
        raise StudyError(
            f"strategy {strategy!r} corrects every gradient by what all hospitals send, and no gradient of "
            "training.personal is sent: choose strategy 'fedavg' or 'fedprox'."
        )
    if companion(task):
        raise StudyError(
            "training.personal keeps parameters in the hospitals, and the task averages a companion of them "
            "(abilities.companion): remove training.personal."
        )
    if keep == "best":
        raise StudyError(
            "stopping.keep = 'best' goes back to an earlier model, and hospitals' own parts (training.personal) are "
            "of the last round: set stopping.keep = 'last'."
        )


def check_private_training(training: Training, unit: str, work: Work, strategy: str, privacy: str) -> None:
    """Raise StudyError where a promise of privacy would not cover what training does."""
    if work.beside:
        raise StudyError(
            f"strategy {strategy!r} needs a number of every hospital's training beside its update, which the noise "
            f"of privacy {privacy!r} does not cover: choose strategy 'fedavg' or 'fedprox', or remove [privacy]."
        )
    if training.personal:
        raise StudyError(
            f"privacy {privacy!r} adds its noise to what is sent, and scores would then be of parts trained without "
            "noise (training.personal): remove one of the two."
        )
    if training.bootstrap is not None:
        raise StudyError(
            f"privacy {privacy!r} counts each patient once, and training.bootstrap draws some twice: remove it."
        )
    if training.warm_up_steps:
        raise StudyError(
            f"what shows that privacy {privacy!r} adds its noise counts on steps at one rate a round: remove "
            "training.warm_up_steps."
        )
    if unit not in PERSONAL_UNITS:
        return
    if training.sampling == "by_class":
        raise StudyError(
            f"privacy {privacy!r} counts on every {unit} being drawn with the same chance, on its own, and "
            "training.sampling = 'by_class' draws by what others there are: remove it; weights that are public "
            "(training.class_weights) make rare classes count too."
        )
    if training.calibration is not None:
        raise StudyError(
            f"privacy {privacy!r} promises to hide one {unit}, and training.calibration is made of all of a "
            "hospital's labels: one changes the loss of others, which no noise covers. Remove it."
        )
    if training.class_weights == "own":
        raise StudyError(
            f"privacy {privacy!r} promises to hide one {unit}, and training.class_weights = 'own' are made of all "
            "of a hospital's labels: one changes the loss of others, which no noise covers. Give the weights, or "
            "'balanced' with public training.class_counts."
        )


def _check_warm_up(training: Training) -> None:
    steps = training.warm_up_steps
    if steps and training.optimiser == "sgd":
        raise StudyError(
            "training.warm_up_steps is for optimisers whose first steps are as long as any, such as 'adam'; those of "
            "'sgd' are as long as the gradient: remove it, or see training.schedule."
        )
    if training.steps is not None and steps >= training.steps:
        raise StudyError(
            f"training.warm_up_steps must leave one of training.steps = {training.steps} at the full rate; it is "
            f"{steps}."
        )


def _refuse_local_steps(training: Training, strategy: str) -> None:
    default = Training()
    for name in (field.name for field in fields(Training)):
        if name not in OF_GRADIENTS_TOO and getattr(training, name) != getattr(default, name):
            instead = "The server's step is strategy.learning_rate"
            instead += ", its schedule server_schedule" if name == "schedule" else ""
            raise StudyError(
                f"training.{name} has no effect with strategy {strategy!r}: hospitals send one gradient and take no "
                f"step of their own. {instead}; remove the setting."
            )


def _demand_plain_steps(training: Training, strategy: str, work: Work) -> None:
    """SCAFFOLD corrects sums of gradients; FedNova counts how far steps of SGD reach, with momentum or without."""
    allowed = "without momentum" if work.controlled else "with Nesterov's momentum off"
    refused = training.momentum > 0 if work.controlled else training.nesterov
    if training.optimiser != "sgd" or refused:
        named = "Nesterov's momentum" if refused and work.normalised else f"momentum {training.momentum}"
        raise StudyError(
            f"strategy {strategy!r} corrects plain gradient steps: training.optimiser must be 'sgd' "
            f"{allowed}; it is {training.optimiser!r} with {named}."
        )
    for name in ("l1", "clip_gradient_norm"):
        if getattr(training, name):
            raise StudyError(
                f"strategy {strategy!r} corrects plain gradient steps, which training.{name} changes: remove it."
            )

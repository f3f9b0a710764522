"""`rounds = 0`: a study that trains nothing, and what it cannot ask for then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.errors import StudyError
from common.study.catalogue import NETWORKS
from common.study.options import Entry, convert

if TYPE_CHECKING:
    from common.study.study import Study


def check_evaluation_alone(study: Study) -> None:
    """Raise StudyError where there is no model to score, or something is asked for that only training gives."""
    if study.start is None and not brings_weights(study):
        raise StudyError(
            'rounds = 0 trains nothing and scores a model: name it. Add [start] model = "path/to/model.safetensors" '
            "(or a run folder), or run: wardround evaluate MODEL STUDY."
        )
    if study.privacy is not None:
        raise StudyError("rounds = 0 trains nothing, so that no noise is added and nothing promised: remove privacy.")
    for name in ("local", "pooled"):
        if getattr(study.baselines, name):
            raise StudyError(f"rounds = 0 trains nothing, and baselines.{name} is trained: set it to false.")
    if study.audit.after_run:
        raise StudyError("rounds = 0 trains nothing, and an audit is of training: set audit.after_run = false.")


def brings_weights(study: Study) -> bool:
    """Whether the task's network is a file with its own weights, which nobody trains."""
    named = study.task.options.get("network")
    if named is None:
        return False
    network = convert(named, Entry, "task.network")
    return bool(getattr(NETWORKS.load(network.name), "has_weights", False))

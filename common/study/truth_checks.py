"""What a study may not ask for where its source reads images alone: nothing that needs a truth."""

from __future__ import annotations

from common.errors import StudyError
from common.learning.abilities import unlabelled
from common.learning.client_work import Training
from common.learning.task import Task
from common.study.catalogue import PARTITIONS, SOURCES, TASKS
from common.study.options import Entry


def check_truth(
    source: object, named: Entry, task: Task, learned: Entry, training: Training, partition: Entry | None
) -> None:
    """Raise StudyError where the source reads no labels, and task, training or partition go by them."""
    if getattr(source, "unlabelled", False) is not True:
        return
    where = f"source {named.name!r}.unlabelled = true reads no labels"
    if not unlabelled(task):
        raise StudyError(
            f"{where}, and task {learned.name!r} learns from them: set source.unlabelled = false, or choose a task "
            f"that learns without: {', '.join(_without_labels())}."
        )
    if training.sampling == "by_class":
        raise StudyError(f"{where}, and training.sampling = 'by_class' draws by them: remove it.")
    if training.label_share is not None:
        raise StudyError(f"{where}, and training.label_share takes a share of them: remove it.")
    if partition is not None and _divides_by_labels(partition):
        raise StudyError(
            f"{where}, and partition {partition.name!r} divides by them: choose 'iid' or 'quantity'. A simulation "
            "may also read labels to divide by (source.unlabelled = false): the task does not look at them."
        )


def reads_labels_for_nothing(task: Task, source: Entry, partition: Entry | None) -> bool:
    """Whether a source that could read images alone reads labels that neither the task nor the partition goes by."""
    if not unlabelled(task) or getattr(SOURCES.build(source), "unlabelled", True) is not False:
        return False
    return partition is None or not _divides_by_labels(partition)


def _divides_by_labels(partition: Entry) -> bool:
    return bool(getattr(PARTITIONS.load(partition.name), "by_labels", False))


def _without_labels() -> list[str]:
    return [name for name in TASKS.names() if unlabelled(TASKS.load(name))]

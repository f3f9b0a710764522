"""What a task's declared members go with: a study that would break their meaning or a promise is refused."""

from __future__ import annotations

from typing import Any

from common.errors import StudyError
from common.learning.abilities import check_declared, companion, couples, optimised
from common.learning.client_work import Training
from common.learning.task import Task
from common.study.catalogue import MECHANISMS, STRATEGIES
from common.study.options import Entry
from common.study.privacy_checks import PERSONAL_UNITS
from common.study.strategy_abilities import averages_companion

MOST_COUPLED_CASES = 4096
"""Of a batch whose cases are compared with each other: every pair is a number, and 4096 squared are 64 MiB."""


def check_task(task: Task, entry: Entry, strategy: Entry, privacy: Entry | None, training: Training) -> None:
    """Raise StudyError where the task cannot be learned as the study says, and why."""
    check_declared(task, entry.name)
    _check_privacy(task, entry, privacy)
    _check_strategy(task, entry, strategy)
    size = training.batch_size
    if couples(task) and size != "full" and size > MOST_COUPLED_CASES:
        raise StudyError(
            f"task {entry.name!r} compares the cases of a batch with each other: training.batch_size can be at most "
            f"{MOST_COUPLED_CASES}; it is {size}."
        )


def _check_privacy(task: Task, entry: Entry, privacy: Entry | None) -> None:
    """Noise for one person's gradient needs a gradient that is that person's alone, and that nothing else leaves."""
    if privacy is None or MECHANISMS.build(privacy).unit not in PERSONAL_UNITS:
        return
    reasons = {
        "compares the cases of a batch with each other, so that no gradient is one person's": couples(task),
        f"sends a companion, {', '.join(companion(task))}, which no noise covers": companion(task),
        f"takes steps by several losses, {', '.join(optimised(task))}, and noise is counted for one": optimised(task),
    }
    for reason, holds in reasons.items():
        if holds:
            raise StudyError(
                f"privacy {privacy.name!r} promises to hide one {MECHANISMS.build(privacy).unit}, and task "
                f"{entry.name!r} {reason}: choose privacy 'hospital', which clips and noises all that a hospital "
                "sends, or another task."
            )


def _check_strategy(task: Task, entry: Entry, strategy: Entry) -> None:
    built: Any = STRATEGIES.build(strategy)
    if built.sends == "gradient" and (companion(task) or optimised(task)):
        what = f"companion, {', '.join(companion(task))}, moves" if companion(task) else "several optimisers move"
        raise StudyError(
            f"strategy {strategy.name!r} sends one gradient and takes no step in a hospital, and task "
            f"{entry.name!r}'s {what} with each step: choose strategy 'fedavg'."
        )
    if companion(task) and not averages_companion(built):
        fitting = ", ".join(repr(one) for one in STRATEGIES.names() if averages_companion(STRATEGIES.load(one)))
        raise StudyError(
            f"strategy {strategy.name!r} does not average a companion, and task {entry.name!r} has one, "
            f"{', '.join(companion(task))}: choose one of {fitting}."
        )

"""What a task's declared members go with: a study that would break their meaning or a promise is refused."""

from __future__ import annotations

from typing import Any

from common.errors import StudyError
from common.learning.abilities import (
    abilities,
    can,
    companion,
    couples,
    follows_parameters,
    optimised,
    private_options,
    settled_in,
    unlabelled,
    views,
    watched,
)
from common.learning.client_work import Training
from common.learning.declared_abilities import check_declared
from common.learning.task import Task
from common.study.catalogue import MECHANISMS, STRATEGIES, TASKS
from common.study.federation import Federation
from common.study.options import Entry
from common.study.privacy_checks import PERSONAL_UNITS
from common.study.strategy_abilities import averages_companion

FOLLOWS = "follows_parameters"
MOST_COUPLED_CASES = 4096
"""Of a batch whose cases are compared with each other: every pair is a number, and 4096 squared are 64 MiB."""


def check_task(
    task: Task, entry: Entry, strategy: Entry, privacy: Entry | None, training: Training, rounds: int
) -> None:
    """Raise StudyError where the task cannot be learned as the study says, and why."""
    check_declared(task, entry.name)
    _check_privacy(task, entry, privacy)
    _check_strategy(task, entry, strategy)
    _check_labels(task, entry, training)
    if 0 < rounds < settled_in(task):
        raise StudyError(
            f"task {entry.name!r} is what it says from round {settled_in(task)} on, and rounds = {rounds}: it would "
            "never be learned so. Set rounds to more, or let it grow sooner (task.plain_rounds, task.grows_over)."
        )
    size = training.batch_size
    if couples(task) and size == 1:
        raise StudyError(
            f"task {entry.name!r} compares the cases of a batch with each other, and training.batch_size = 1 leaves "
            "none to compare with: set it to 2 or more, such as 32."
        )
    if couples(task) and size != "full" and size > MOST_COUPLED_CASES:
        raise StudyError(
            f"task {entry.name!r} compares the cases of a batch with each other: training.batch_size can be at most "
            f"{MOST_COUPLED_CASES}; it is {size}."
        )


def _check_labels(task: Task, entry: Entry, training: Training) -> None:
    """A share of labels is of no sense where the loss asks for none: fewer cases would be learned from, unsaid."""
    if training.label_share is None or not can(task, "label_space"):
        return
    from common.data.cases import Shape

    if abilities(task).label_space(Shape((1, 1, 1), 2)) == (0,):
        raise StudyError(
            f"task {entry.name!r} learns without labels, and training.label_share is of labels: remove it here, and "
            "set it in the study that goes on from this one ([start])."
        )


def check_stop_on_collapse(task: Task, entry: Entry, federation: Federation, is_private: bool) -> None:
    """Raise StudyError where no score tells a collapse between rounds, or reading it would cost privacy."""
    setting = "federation.stop_on_collapse"
    if not federation.stop_on_collapse:
        return
    if not watched(task):
        raise StudyError(
            f"{setting} needs a task that says which of its scores tell a collapse, and {entry.name!r} says none: "
            "remove it, or give the task `watched`."
        )
    if federation.evaluate_every == 0:
        raise StudyError(f"{setting} needs scores between rounds: set federation.evaluate_every to 1 or more.")
    if is_private:
        raise StudyError(
            f"{setting} chooses how many rounds a model is trained by exact scores of patients, which no noise "
            "covers, and the study promises privacy: remove it (where it collapses, the run says so all the same), "
            "or remove [privacy]."
        )


def _check_privacy(task: Task, entry: Entry, privacy: Entry | None) -> None:
    """Noise for one person's gradient needs a gradient that is that person's alone, and that nothing else leaves.

    A companion that follows what is learned is worked out from noisy steps wherever a hospital takes any, and costs
    nothing (`client.private_training`). Where it takes none, as with noise that is shared, nothing would move it, and
    `_check_strategy` refuses that.
    """
    if privacy is None or MECHANISMS.build(privacy).unit not in PERSONAL_UNITS:
        return
    moved = bool(companion(task)) and not follows_parameters(task)
    reasons = {
        "compares the cases of a batch with each other, so that no gradient is one person's": couples(task),
        f"sends a companion, {', '.join(companion(task))}, which no noise covers, for it does not declare that this "
        "moves by what is learned alone (follows_parameters)": moved,
        f"takes steps by several losses, {', '.join(optimised(task))}, and noise is counted for one": optimised(task),
    }
    for reason, holds in reasons.items():
        if holds:
            raise StudyError(
                f"privacy {privacy.name!r} promises to hide one {MECHANISMS.build(privacy).unit}, and task "
                f"{entry.name!r} {reason}: choose privacy 'hospital', which clips and noises all that a hospital "
                f"sends, or {_mended(task, moved) or _instead(task)}."
            )


def _mended(task: Task, moved: bool) -> str:
    """Options of its own with which it goes; "" where none are."""
    options = private_options(task) if moved else {}
    return f"set {', '.join(f'task.{name} = {value!r}' for name, value in options.items())}" if options else ""


def _instead(task: Task) -> str:
    """Tasks that learn without labels, as this one does, and go with such privacy, by what they declare."""
    if not views(task):
        return "another task"
    loaded = {name: TASKS.load(name) for name in TASKS.names()}
    private = [(name, one) for name, one in loaded.items() if unlabelled(one) and not couples(one)]
    fit = [_named(name, one) for name, one in private if not hasattr(one, "companion") or hasattr(one, FOLLOWS)]
    return f"a task without labels that has it: {', '.join(fit)}" if fit else "another task"


def _named(name: str, task: Task) -> str:
    options = ", ".join(f"{option} = {value!r}" for option, value in private_options(task).items())
    return f"'{name}' (with {options})" if options else f"'{name}'"


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

"""Tasks whose network is a file with its own weights, which nobody trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast, get_type_hints

from common.errors import StudyError
from common.study.catalogue import NETWORKS, TASKS
from common.study.options import Entry, convert
from common.study.plugins import current_trust


def tasks_of(task: Entry) -> tuple[Entry, ...]:
    """The task, and the one that it is put around, if it is (`adversarial`)."""
    inner = task.options.get("task") if task.name in TASKS.names() else None
    return (task,) if inner is None else (task, cast(Entry, convert(inner, Entry, "task.task")))


def network_of(task: Entry) -> Entry | None:
    """The network that the task, or the one that it is put around, names; None where it names none."""
    named = tasks_of(task)[-1].options.get("network")
    return None if named is None else cast(Entry, convert(named, Entry, "task.network"))


def networks_of(task: Entry) -> Iterator[Entry]:
    """The task's network, and those that networks of ours are made around; what is in a plug-in is the plug-in's."""
    waiting = [network_of(task)]
    while waiting:
        network = waiting.pop()
        if network is None:
            continue
        yield network
        if network.name in NETWORKS.names():
            hints = get_type_hints(NETWORKS.load(network.name))
            inner = [name for name, kind in hints.items() if kind is Entry and name in network.options]
            waiting += [cast(Entry, convert(network.options[name], Entry, f"task.network.{name}")) for name in inner]


def brings_weights(task: Entry) -> bool:
    """Whether the task's network comes with its weights."""
    network = network_of(task)
    return network is not None and bool(getattr(NETWORKS.load(network.name), "has_weights", False))


def digest_of_weights(task: Entry) -> str | None:
    """SHA-256 of the file, as the study names it; None where it does not."""
    network = network_of(task)
    digest = None if network is None else network.options.get("sha256")
    return str(digest) if digest else None


def check_networks(task: Entry) -> None:
    """Note the plug-ins among a task's networks, and raise StudyError for what nobody agreed to run or open.

    Asked when a study is read: what reads a stranger's run folder may hand its study on to processes that trust it.
    """
    trust = current_trust()
    agreed = trust.files or trust.models is not None or trust.modules is None or bool(trust.modules)
    for network in networks_of(task):
        ours = NETWORKS.digest(network.name) is None
        if ours and not agreed and getattr(NETWORKS.load(network.name), "has_weights", False):
            raise StudyError(
                f"network {network.name!r} is a file that the study names, which was not opened. {trust.remedy} A "
                'hospital names the folder of its model files in policy.toml, models = "models".'
            )

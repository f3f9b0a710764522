"""Tasks whose network is a file with its own weights, which nobody trains."""

from __future__ import annotations

from typing import cast

from common.study.catalogue import NETWORKS
from common.study.options import Entry, convert


def network_of(task: Entry) -> Entry | None:
    """The network that a task's options name; None where they name none."""
    named = task.options.get("network")
    return None if named is None else cast(Entry, convert(named, Entry, "task.network"))


def brings_weights(task: Entry) -> bool:
    """Whether the task's network comes with its weights."""
    network = network_of(task)
    return network is not None and bool(getattr(NETWORKS.load(network.name), "has_weights", False))


def digest_of_weights(task: Entry) -> str | None:
    """SHA-256 of the file, as the study names it; None where it does not."""
    network = network_of(task)
    digest = None if network is None else network.options.get("sha256")
    return str(digest) if digest else None

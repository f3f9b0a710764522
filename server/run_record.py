"""What a run's folder says of it from its start on: `about.json`, and of who takes part `roster.json`."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from flwr.serverapp import Grid

from common import __version__
from common.data.cases import SiteId
from common.data.skew import label_divergence, size_gini
from common.study.held_out import tells_labels
from common.study.program import this_program
from common.study.study import Study
from common.study.training_words import told_beside
from common.study.trust import said
from server.members import Member
from server.public_numbers import counts_are_told, training_sizes


def first_words(study: Study, name: str, grid: Grid, hospitals: int, sites: Sequence[SiteId]) -> dict[str, Any]:
    """What `about.json` says from the start on. hospitals: as many as are expected; sites: where no roster is."""
    packages = ("flwr", "torch", "numpy", "grpcio", "protobuf")
    return {
        "study": name,
        "title": study.title,
        "description": study.description,
        "engine": getattr(grid, "engine", "flower"),
        "device": getattr(grid, "device", ""),
        "seed": study.seed,
        "versions": {"wardround": __version__, "python": platform.python_version()}
        | {package: version(package) for package in packages},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "state": "running",
        "reason": "",
        "rounds_done": 0,
        "hospitals_expected": max(hospitals, len(study.federation.names)),
        "sites_expected": list(study.federation.names or sites),
        "model_sha256": None,
        "model_of_round": None,
        "last_model_sha256": None,
        "ended_early": "",
        "task": study.task.name,
        "strategy": study.strategy.name,
        "aggregation": study.aggregation.name,
        "source": study.source.name,
        "privacy": study.privacy.name if study.privacy else None,
        "trusts": [*said(study, max(hospitals, len(study.federation.names))), *told_beside(study)],
        "changes": [],
        "plugins": dict(study.plugins),
        "program": this_program().digest,
        "time": dict.fromkeys(("start", "training", "evaluation", "waiting", "server"), 0.0),
    }


def roster_table(study: Study, members: Mapping[SiteId, Member]) -> dict[str, Any]:
    """`roster.json`: who takes part, and with what, as far as the study has it told."""
    first = next(iter(members.values()))
    told = tells_labels(study.split, study.privacy is not None)
    labels = {site: dict(zip(m.classes, m.labels, strict=True)) for site, m in members.items()}
    counted = counts_are_told(study)
    sizes = training_sizes(study, members)
    partition = study.partition
    return {
        "sites": [_described(member, told, counted) for member in members.values()],
        "expected_patients": None if counted else sizes,
        "skew": {
            "label_divergence": label_divergence(labels) if told and first.classes else None,
            "size_gini": size_gini(sizes) if counted else None,
        },
        "partition": partition.name if partition else None,
        "shape": list(first.shape.inputs),
        "classes": list(first.classes),
        "class_counts": [sum(of_class) for of_class in zip(*(m.labels for m in members.values()), strict=True)]
        if told
        else [],
        "columns": first.columns,
    }


def _described(member: Member, told: bool, counted: bool) -> dict[str, Any]:
    """told: whether it said how many cases of each label it holds (`tells_labels`). counted: whether it
    said how many cases it holds, which a study that expects numbers of patients does not ask.
    """
    total = sum(member.labels) or 1
    return {
        "site": member.site,
        "cases": dict(member.cases) if counted else {},
        "patients": dict(member.patients) if counted else {},
        "quarantined": member.quarantined,
        "labels": {name: n / total for name, n in zip(member.classes, member.labels, strict=True)} if told else {},
    }

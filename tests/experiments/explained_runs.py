"""Runs of a moment with their data, and their explanation, for tests of the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from common.data.cases import Cases
from common.files.json_files import read_table
from experiments.explanations.command import explain_run
from experiments.explanations.section import Asked
from server.run_folder import RunFolder
from tests.experiments.trained_runs import trained_run

HOSPITALS = ("east", "west")
QUIET = Console(quiet=True)
FEW = Asked(("saliency",), cases=3)
STUDY = """
title = "TITLE"
rounds = 1
seed = 5
aggregation = "plain"
engine = "inline"
task = TASK
[source]
name = "npz"
folder = "FOLDER"
SOURCE
[split]
validation = 0.0
test = 0.5
"""
CNN = '{ name = "classification", network = { name = "groupnorm_cnn", channels = 4 } }'
NAMED = 'classes = ["well", "ill"]'


def run_of(
    folder: Path,
    task: str,
    inputs: np.ndarray,
    targets: np.ndarray,
    source: str = NAMED,
    title: str = "Seen",
    engine: str = "inline",
    classes: tuple[str, ...] = ("well", "ill"),
    **others: np.ndarray,
) -> Path:
    """A run folder whose network learned for a moment, and the data of its two hospitals."""
    data = folder / "data"
    data.mkdir(parents=True)
    half = len(inputs) // 2
    for number, site in enumerate(HOSPITALS):
        rows = slice(number * half, (number + 1) * half)
        columns = {name: values[rows] for name, values in others.items()}
        np.savez(data / f"{site}.npz", inputs=inputs[rows], targets=targets[rows], **columns)  # type: ignore[arg-type]
    text = STUDY.replace("TITLE", title).replace("TASK", task).replace("FOLDER", str(data)).replace("SOURCE", source)
    cases = Cases.of(inputs, targets, [str(k) for k in range(len(inputs))], classes)
    run = folder / "run"
    trained_run(run, text, cases, steps=3)
    about = {**read_table(run, "about.json"), "engine": engine, "title": title}
    roster = read_table(run, "roster.json")
    sites = [{**roster["sites"][0], "site": site} for site in HOSPITALS]
    RunFolder(run).write_json("about.json", about)
    RunFolder(run).write_json("roster.json", {**roster, "sites": sites})
    return run


def images(count: int = 24, side: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (np.arange(count) % 2).astype(np.int64)
    return (rng.random((count, 1, side, side)) * 0.6 + 0.4 * labels[:, None, None, None]).astype(np.float32), labels


def explained(run: Path, out: Path, asked: Asked = FEW, seconds: float = 3) -> tuple[str, dict[str, Any]]:
    written = explain_run(run, asked, seconds, out, QUIET)
    page = written.page.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:image/png|#)""", page), "the page needs something beside itself"
    return page, json.loads((out / "explain.json").read_text(encoding="utf-8"))

"""A folder laid out as a MONAI bundle, which other programs open, and from which `wardround predict` works too.

configs/metadata.json    what goes in and comes out, by MONAI's specification, and all facts under `wardround`
models/model.pt          the parameters, as torch's state dictionary; loads with weights_only=True
models/model.ts          TorchScript, where the network can be traced
models/model.onnx        ONNX, where the network can be written so and the packages are installed
docs/README.md           the model card
wardround/               study, model and shapes, for `wardround predict`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy
import tomli_w
import torch

import common
from common.errors import StudyError
from common.files import access as files
from common.files.json_files import write_json
from common.learning.abilities import patched
from experiments.exporting.card import card_of
from experiments.exporting.facts import INPUT, OUTPUT, preprocessing_of, task_of
from experiments.exporting.networks import onnx_of, parameters_of, torchscript_of
from experiments.prediction.trained import ABOUT, BUNDLED, MODEL, ROSTER, STUDY, Trained
from server.model_card import INTENDED

VERSION = "1.0.0"
MONAI_VERSION = "1.4.0"
"""The bundle's layout is that of this version and later ones; nothing of MONAI is needed to write it."""
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
OPTIONAL: Mapping[str, Callable[[Trained, Mapping[str, Any]], bytes]] = {
    "models/model.ts": torchscript_of,
    "models/model.onnx": onnx_of,
}


def write_bundle(trained: Trained, facts: Mapping[str, Any], out: Path) -> tuple[str, ...]:
    """Write the folder `out`; why what it lacks is lacking, in sentences. Raises FileError where it cannot."""
    lacking = []
    packed: dict[str, bytes] = {}
    for name, make in OPTIONAL.items():
        try:
            packed[name] = make(trained, facts)
        except StudyError as error:
            lacking.append(f"{name} is left out: {error}")
    for name, content in packed.items():
        files.write(out, name, content)
    files.write(out, "models/model.pt", parameters_of(trained.network))
    files.write(out, "docs/README.md", card_of(facts))
    write_json(out, "configs/metadata.json", metadata_of(trained, facts))
    _write_own(trained, out)
    return tuple(lacking)


def metadata_of(trained: Trained, facts: Mapping[str, Any]) -> dict[str, Any]:
    """MONAI's `metadata.json`, with every key that its specification demands."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "changelog": {VERSION: "exported by Wardround"},
        "monai_version": MONAI_VERSION,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": numpy.__version__,
        "required_packages_version": {},
        "optional_packages_version": {"wardround": common.__version__},
        "name": trained.title,
        "task": f"{facts['task']['name']}: {trained.title}",
        "description": facts["description"] or trained.title,
        "authors": "",
        "copyright": "",
        "intended_use": INTENDED,
        "data_source": "hospitals that kept their data: federated training",
        "eval_metrics": facts["scores"]["values"],
        "network_data_format": {"inputs": {INPUT: _input(trained)}, "outputs": {OUTPUT: _output(trained)}},
        "wardround": facts,
    }


def _input(trained: Trained) -> dict[str, Any]:
    channels, *sides = trained.learned.shape.inputs
    modality = str(trained.entries["source"].options.get("modality", "")) or "n/a"
    return {
        "type": "image" if sides else "tuples",
        "format": "magnitude" if sides else "raw",
        "modality": modality,
        "num_channels": channels,
        "spatial_shape": sides,
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": patched(trained.task),
        "channel_def": {str(index): f"channel {index}" for index in range(channels)} if sides else {},
    }


def _output(trained: Trained) -> dict[str, Any]:
    with torch.no_grad():
        _, channels, *sides = trained.network(torch.zeros(1, *trained.learned.shape.inputs)).shape
    named = len(trained.classes) == channels
    names = trained.classes if named else [f"output {index}" for index in range(channels)]
    return {
        "type": "image" if sides else "probabilities" if named else "tuples",
        "format": "labels" if sides and named else "classes" if named else "raw",
        "num_channels": channels,
        "spatial_shape": list(sides),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": patched(trained.task),
        "channel_def": {str(index): name for index, name in enumerate(names)},
    }


def _write_own(trained: Trained, out: Path) -> None:
    """What `wardround predict` needs of the run: no name of a hospital, and no folder but of plug-ins in files."""
    kept = {name: trained.table[name] for name in ("title", "seed", "plugins") if name in trained.table}
    frozen = {"training": {"freeze": list(trained.frozen)}} if trained.frozen else {}
    study = {**kept, **frozen, "task": task_of(trained), "source": preprocessing_of(trained)}
    learned = trained.learned
    roster = {
        "shape": list(learned.shape.inputs),
        "classes": list(learned.classes),
        "columns": learned.columns,
    }
    files.write(out, f"{BUNDLED}/{STUDY}", tomli_w.dumps(json.loads(json.dumps(study))))
    files.write(out, f"{BUNDLED}/{MODEL}", files.read(trained.folder, MODEL))
    write_json(out, f"{BUNDLED}/{ROSTER}", roster)
    write_json(out, f"{BUNDLED}/{ABOUT}", {"state": "completed", "model_sha256": trained.model_sha256})

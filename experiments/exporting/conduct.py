"""Exporting: one run's network in the forms that were asked for, nothing written over, each file named in the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from common.errors import StudyError
from common.files.access import demand_writable, write_to
from experiments.exporting.answering import answering
from experiments.exporting.bundle import write_bundle
from experiments.exporting.facts import facts_of
from experiments.exporting.networks import example_of, onnx_of, torchscript_of
from experiments.prediction.trained import BUNDLED, Trained

ENDINGS = {"onnx": (".onnx",), "torchscript": (".ts", ".pt", ".torchscript")}


def export(
    trained: Trained,
    onnx: Path | None = None,
    torchscript: Path | None = None,
    bundle: Path | None = None,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write what a path is given for; what was written, and what was left out and why, in sentences.

    Raises StudyError where nothing is asked for, something is there already, or a form cannot hold the network.
    """
    wanted = {"onnx": onnx, "torchscript": torchscript, "bundle": bundle}
    if not any(wanted.values()):
        raise StudyError("nothing is asked for: add --onnx FILE, --torchscript FILE or --bundle FOLDER.")
    if trained.folder.name == BUNDLED:
        raise StudyError(
            "this is a bundle, which does not hold all facts of its run: export from the run folder instead."
        )
    for form, path in wanted.items():
        if path is not None:
            _demand_free(form, path, overwrite)
    trained = replace(trained, network=answering(trained.network, example_of(trained)))
    facts = facts_of(trained)
    made = [
        (path, make(trained, facts))
        for path, make in ((onnx, onnx_of), (torchscript, torchscript_of))
        if path is not None
    ]
    said = [f"wrote {write_to(path, packed)}" for path, packed in made]
    if bundle is not None:
        lacking = write_bundle(trained, facts, bundle)
        said += [f"wrote {bundle}", *lacking]
    return tuple(said)


def _demand_free(form: str, path: Path, overwrite: bool) -> None:
    endings = ENDINGS.get(form)
    if endings is None:
        if path.exists() and (not path.is_dir() or (any(path.iterdir()) and not overwrite)):
            raise StudyError(f"{path} is there already and is not an empty folder: name another, or add --overwrite.")
        return
    if path.suffix.lower() not in endings:
        raise StudyError(f"{path} must end in {' or '.join(endings)}.")
    if path.exists() and not overwrite:
        raise StudyError(f"{path} is there already: name another file, or add --overwrite.")
    demand_writable(path)

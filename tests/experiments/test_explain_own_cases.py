"""Cases that somebody names: prepared as those that were learned from, and shown where the files may be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from experiments.cli import cli
from experiments.explanations.section import Asked
from experiments.explanations.subject import Subject
from tests.experiments.explained_runs import CNN, explained, images, run_of


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tmp_path_factory.mktemp("classified"), CNN, *images())


def own_files(folder: Path, **arrays: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, inputs in arrays.items():
        np.savez(folder / f"{name}.npz", inputs=inputs)
    return folder


def test_cases_that_somebody_names_are_shown_in_their_order_and_without_a_truth(
    classified: Path, tmp_path: Path
) -> None:
    files = own_files(tmp_path / "own", beta=images()[0][3:5], alpha=images()[0][:1])
    asked = Asked(("saliency",), cases=8, inputs=(files / "beta.npz", files / "alpha.npz"))
    page, told = explained(classified, tmp_path / "page", asked)
    maps = told["sections"]["maps"]
    assert [one["hospital"].partition(",")[0] for one in maps["cases"]] == ["beta", "beta", "alpha"]
    assert {one["truth"] for one in maps["cases"]} == {""}
    assert told["own_cases"]
    assert "simulated" not in page
    assert "stays where those files may be" in page


def test_the_map_of_a_named_case_is_the_one_that_its_hospital_would_see(classified: Path) -> None:
    inputs = images()[0]
    files = own_files(classified.parent / "own", one=inputs[:1])
    handed = classified.parent / "handed" / "wardround"  # as a bundle has it: no rounds, no scores
    handed.mkdir(parents=True)
    for name in ("study.toml", "model.safetensors", "roster.json", "about.json"):
        (handed / name).write_bytes((classified / name).read_bytes())
    own, whole = Subject.of(handed.parent, [files]), Subject.of(classified)
    assert own.pool is not None
    assert whole.pool is not None
    at = next(k for k, one in enumerate(whole.pool.inputs) if torch.equal(one, torch.from_numpy(inputs[0])))
    assert own.pool.told[0].answer == whole.pool.told[at].answer


def test_a_page_of_own_cases_needs_a_folder_beside_the_run(classified: Path, tmp_path: Path) -> None:
    files = own_files(tmp_path / "own", one=images()[0][:1])
    for more in ([], ["--out", str(classified)]):
        said = CliRunner().invoke(cli, ["explain", str(classified), str(files), *more])
        assert said.exit_code == 1
        assert "--out" in said.output
    assert not (classified / "explain.html").exists()


def test_a_file_that_cannot_be_shown_is_named_and_ends_with_3(classified: Path, tmp_path: Path) -> None:
    files = own_files(tmp_path / "own", good=images()[0][:1], other=images(2, side=5)[0])
    command = ["explain", str(classified), str(files), "--method", "saliency", "--seconds", "2"]
    said = CliRunner().invoke(cli, [*command, "--out", str(tmp_path / "page")])
    assert said.exit_code == 3
    assert "other" in said.output
    told = json.loads((tmp_path / "page" / "explain.json").read_text(encoding="utf-8"))
    assert list(told["not_used"]) == ["other"]
    alone = CliRunner().invoke(cli, [*command[:2], str(files / "other.npz"), "--out", str(tmp_path / "none")])
    assert alone.exit_code == 1
    assert "none of the cases can be used" in alone.output

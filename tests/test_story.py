"""The afternoon of docs/story.md, told from its first block to its last, and read by others than ourselves."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.ended import ended

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Where it was told, and what was said."""
    out = tmp_path_factory.mktemp("story") / "afternoon"
    words = [sys.executable, str(ROOT / "docs" / "story.py"), "--out", str(out)]
    done = ended(words, check=True, longest_s=580, cwd=out.parent)
    return out, done.stdout


def test_every_command_of_the_page_was_given_and_what_was_left_out_is_said(told: tuple[Path, str]) -> None:
    out, said = told
    page = (ROOT / "docs" / "story.md").read_text(encoding="utf-8")
    commands = [line for line in page.splitlines() if line.startswith("$ wardround ")]
    left_out = [line for line in said.splitlines() if line.startswith("Left out: ")]
    assert len(commands) == 8
    for line in commands:
        assert line in said.splitlines() or any(line[2:] in one for one in left_out)
    if all(map(find_spec, ("SimpleITK", "onnx", "onnxruntime", "onnxscript"))):
        assert not left_out
    assert (out / "comparison" / "compare.html").is_file() and (out / "errors.html").is_file()


def test_the_outline_lies_where_the_scan_does_and_where_the_lesion_is(told: tuple[Path, str]) -> None:
    """Read with nibabel alone; where the lesion is is found in mm, from what the outline's own affine says."""
    out, _ = told
    scan, outline, truth = (nib.load(out / name) for name in ("new.nii.gz", "answers/new_seg.nii.gz", "truth.nii.gz"))
    assert outline.shape == scan.shape
    assert np.abs(outline.affine - scan.affine).max() <= 1e-6
    found, true = (np.asarray(image.dataobj) > 0 for image in (outline, truth))
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.6
    middles = [nib.affines.apply_affine(image.affine, np.argwhere(mask)).mean(0) for image, mask in
               ((outline, found), (truth, true))]  # fmt: skip
    assert np.linalg.norm(middles[0] - middles[1]) < 3.0


def test_two_runs_were_compared_on_the_same_patients(told: tuple[Path, str]) -> None:
    out, _ = told
    page = (out / "comparison" / "compare.html").read_text(encoding="utf-8")
    assert "own_model.py:Ward" in page and "unet" in page
    assert json.loads((out / "comparison" / "compare.json").read_text(encoding="utf-8"))


@pytest.mark.skipif(not (find_spec("onnx") and find_spec("onnxscript")), reason="the extra onnx is not installed")
def test_what_is_handed_on_names_the_own_files_and_no_folder(told: tuple[Path, str]) -> None:
    import onnx

    out, _ = told
    facts = next(one.value for one in onnx.load(out / "lesion.onnx").metadata_props if one.key == "wardround")
    card = (out / "lesion-bundle" / "docs" / "README.md").read_text(encoding="utf-8")
    metadata = (out / "lesion-bundle" / "configs" / "metadata.json").read_text(encoding="utf-8")
    for text in (facts, card, metadata):
        assert "own_model.py:Ward" in text and str(out) not in text
    assert json.loads(facts)["task"]["loss"] == {"name": "own_model.py:overlap", "weight": 0.5}

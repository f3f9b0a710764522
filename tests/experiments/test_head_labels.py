"""How the phantoms' head came to be; the atlas itself is no part of the project."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from client.sources._phantom_atlas import AIR, CSF, GREY, WHITE, atlas
from common.errors import SourceError
from experiments.head_labels import brain_labels, head

NILEARN = find_spec("nilearn")


def test_the_likeliest_tissue_wins() -> None:
    t1 = np.array([0, 200, 200, 200, 149], np.uint8)
    grey = np.array([0, 150, 90, 40, 250], np.uint8)
    white = np.array([0, 100, 160, 10, 0], np.uint8)
    assert brain_labels(t1, grey, white).tolist() == [AIR, GREY, WHITE, CSF, CSF]


def test_another_map_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz").write_bytes(b"another")
    with pytest.raises(SourceError, match="not the map"):
        head(tmp_path)


@pytest.mark.skipif(NILEARN is None, reason="needs nilearn, which carries the atlas")
def test_the_head_is_made_again_voxel_by_voxel() -> None:
    assert NILEARN is not None and NILEARN.origin is not None
    made = head(Path(NILEARN.origin).parent / "datasets" / "data")
    np.testing.assert_array_equal(made.labels, atlas().labels)
    assert made.origin_mm.tolist() == atlas().origin_mm.tolist()

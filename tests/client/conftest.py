"""A folder of images that several tests of a hospital open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 images of 6 x 6 in the form of MedMNIST."""
    rng = np.random.default_rng(0)
    parts = {"train": 40, "val": 10, "test": 10}
    arrays = {f"{part}_images": rng.integers(0, 255, (n, 6, 6), dtype=np.uint8) for part, n in parts.items()}
    arrays |= {f"{part}_labels": rng.integers(0, 2, (n, 1), dtype=np.uint8) for part, n in parts.items()}
    folder = tmp_path_factory.mktemp("images")
    np.savez(folder / "tiny.npz", **arrays)
    return folder

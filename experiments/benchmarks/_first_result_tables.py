"""A table and photographs as hospitals export them: a spreadsheet of Central Europe, pictures of unlike shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SITES = ("Graz", "Köln", "Zürich")
MASK, LESION = 255, (120, 60, 50)


def make_table(folder: Path, persons: int, side: int = 0) -> None:
    """admissions.csv: semicolons, decimal commas, a byte order mark, several rows a patient, gaps in one column."""
    rng = np.random.default_rng(1)
    lines = ["admission;patient;hospital;age;sex;bmi;creatinine;crp;readmitted"]
    for person in range(persons * len(SITES)):
        age, bmi = int(rng.integers(35, 90)), rng.normal(27, 4)
        for _ in range(int(rng.integers(1, 4))):
            creatinine, crp = rng.lognormal(0.1, 0.3), rng.lognormal(2, 1)
            ill = (age - 62) / 15 + 2 * (creatinine - 1.1) + rng.normal(0, 0.5) > 0
            numbers = [f"{bmi:.1f}", f"{creatinine:.2f}", "" if rng.random() < 0.1 else f"{crp:.1f}"]
            words = [f"A{len(lines):05d}", f"P{person:04d}", SITES[person % len(SITES)], str(age), "fm"[person % 2]]
            row = [*words, *(number.replace(".", ",") for number in numbers), "yes" if ill else "no"]
            lines.append(";".join(row))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "admissions.csv").write_bytes("\r\n".join([*lines, ""]).encode("utf-8-sig"))


def make_images(folder: Path, persons: int, side: int) -> None:
    """HOSPITAL/images/P01_a.png in colour, HOSPITAL/masks/P01_a.png of 0 and 255; one or two photographs a person."""
    rng = np.random.default_rng(2)
    for number, site in enumerate(SITES):
        for kind in ("images", "masks"):
            (folder / site / kind).mkdir(parents=True, exist_ok=True)
        for person in range(persons):
            for view in "ab"[: 1 + person % 2]:
                shape = (side + 4 * number, side + 8 * (person % 3))
                photograph, mask = _lesion(shape, rng)
                name = f"P{person + 1 + 100 * number:03d}_{view}.png"
                Image.fromarray(photograph).save(folder / site / "images" / name)
                Image.fromarray(mask).save(folder / site / "masks" / name)


def _lesion(shape: tuple[int, int], rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Skin with a dark patch (rows, columns, 3), and where the patch is (rows, columns)."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    middle = rng.uniform(0.35, 0.65, 2) * shape
    inside = np.hypot(rows - middle[0], columns - middle[1]) < rng.uniform(0.15, 0.3) * min(shape)
    skin = rng.normal((215, 170, 150), 10, (*shape, 3))
    skin[inside] = rng.normal(LESION, 15, (int(inside.sum()), 3))
    return skin.clip(0, 255).astype(np.uint8), np.where(inside, MASK, 0).astype(np.uint8)

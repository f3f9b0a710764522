"""What pages take for granted of hospitals: their data, and a run that ended; as small as can be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from experiments.benchmarks._first_result_volumes import make_nifti
from experiments.benchmarks._simpson import BERKELEY
from experiments.cli import cli
from tests.pages.images import lay_moves, lay_outlines, lay_scans
from tests.pages.page_commands import ROOT

WARD = """
title = "A ward"
rounds = 1
engine = "inline"
aggregation = "plain"
training = { steps = 1, batch_size = 2, optimiser = "adam" }
source = { name = "nifti", folder = "volumes", table = "sites.csv", classes = ["background", "lesion"], size = 24 }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 2 } }
federation = { record_traffic = true }
split = { validation = 0.0, test = 0.4 }
"""


def lay_desk(place: Path) -> None:
    """All that pages share, in a folder from which every page is played."""
    make_nifti(place / "volumes", 3, 24)
    (place / "study.toml").write_text(WARD)
    typed("run", "study.toml", "--folder", "runs/ward/1")
    lay_heart(place / "data" / "heart")
    lay_scans(place)
    lay_outlines(place)
    lay_moves(place)
    lay_tables(place)


def typed(*words: str) -> str:
    """What a command says that must go well, in the working directory."""
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, f"{words}: {done.output}"
    return str(done.output)


def lay_heart(folder: Path) -> None:
    """Forty patients in each of UCI's four centres: the older, and those with pain of kind 4, are ill more often."""
    folder.mkdir(parents=True)
    for number, site in enumerate(("cleveland", "hungarian", "switzerland", "va")):
        rng = np.random.default_rng(number)
        rows = [heart_row(rng) for _ in range(40)]
        (folder / f"processed.{site}.data").write_text("\n".join(rows) + "\n")


def heart_row(rng: np.random.Generator) -> str:
    """A patient in UCI's fourteen columns."""
    age, sex, pain = int(rng.integers(30, 78)), int(rng.integers(2)), int(rng.integers(1, 5))
    ill = int(rng.random() < (age - 20) / 90 + 0.2 * (pain == 4))
    measured = [130 + age // 3, int(rng.normal(240, 40)), 0, int(rng.integers(3)), int(rng.normal(150, 20))]
    measured += [int(rng.integers(2)), round(float(rng.uniform(0, 3)), 1), int(rng.integers(1, 4)), 0, 3]
    return ",".join(map(str, [age, sex, pain, *measured, ill * int(rng.integers(1, 5))]))


def lay_tables(place: Path) -> None:
    """Studies of tables: `heart.toml`, as docs/effects.md has it, and Berkeley's admissions of 1973."""
    effects = (ROOT / "docs" / "effects.md").read_text(encoding="utf-8")
    source = re.findall(r"^```toml\n(\[source\]\n.*?)^```$", effects, re.MULTILINE | re.DOTALL)[0]
    title = 'title = "A table"\nengine = "inline"\ntask = { name = "classification", network = "logistic" }\n'
    (place / "heart.toml").write_text(title + source)
    rng, lines = np.random.default_rng(5), ["patient,site,age,sex,pain,angina,disease"]
    for at in range(240):
        age, sex, pain, angina = rng.integers(30, 78), rng.integers(2), rng.integers(1, 5), rng.integers(2)
        ill = int(rng.random() < (age - 20) / 100 + 0.2 * angina)
        lines.append(f"p{at},{'ABCD'[at % 4]},{age},{sex},{pain},{angina},{ill}")
    (place / "patients.csv").write_text("\n".join(lines) + "\n")
    admitted = source.replace("patients.csv", "admissions.csv")
    admitted = re.sub(r"asked = .*", 'asked = { male = ["0", "1"] }', admitted).replace("disease", "admitted")
    (place / "admissions.toml").write_text(title + admitted)
    (place / "admissions.csv").write_text("\n".join(["patient,site,male,age,admitted", *admissions()]) + "\n")


def admissions() -> Iterator[str]:
    """A line for each who applied; their six departments are hospitals."""
    for site, (men_in, men, women_in, women) in BERKELEY.items():
        for male, taken, asked in ((1, men_in, men), (0, women_in, women)):
            yield from (f"{site}{male}{at:04},{site},{male},30,{int(at < taken)}" for at in range(asked))


def lay_xrays(folder: Path) -> None:
    """As medmnist.com has them: those of the ill are brighter."""
    folder.mkdir(parents=True)
    rng, arrays = np.random.default_rng(6), {}
    for part, count in (("train", 96), ("val", 16), ("test", 24)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        images = rng.integers(0, 160, (count, 28, 28)) + 80 * labels[:, None, None]
        arrays |= {f"{part}_images": images.astype(np.uint8), f"{part}_labels": labels[:, None]}
    np.savez(folder / "pneumoniamnist.npz", **arrays)


def lay_lgg(folder: Path) -> None:
    """Three patients in each of four institutions, five slices each."""
    (folder / "patients_flair128").mkdir(parents=True)
    rng, lines = np.random.default_rng(7), ["patient,institution"]
    for at in range(12):
        mask = np.zeros((5, 128, 128), bool)
        mask[2, 30:60, 40:70] = True
        flair = rng.integers(1, 255, mask.shape, dtype=np.uint8)
        np.savez(folder / "patients_flair128" / f"P{at}_20000101.npz", flair=flair, mask=mask)
        lines.append(f"P{at},{('CS', 'DU', 'HT', 'FG')[at % 4]}")
    (folder / "patients.csv").write_text("\n".join(lines) + "\n")

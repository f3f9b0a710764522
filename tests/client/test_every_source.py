"""What every source must do. A new source needs a maker of tiny data here, by its name."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from client.source import Source
from client.splitting import split
from common.cases import Cases
from common.catalogue import SOURCES
from common.errors import SourceError
from common.options import Entry
from common.study import Split

Made = tuple[dict[str, object], Callable[[], None] | None]
"""Options of the source, and, where cases have files of their own, how to break one of them."""


def make_heart(folder: Path) -> Made:
    rows = [
        "63,1,1,145,233,1,2,150,0,2.3,3,0,6,0",
        "67,1,4,160,286,0,2,108,1,1.5,2,3,3,2",
        "41,0,2,130,204,0,2,172,0,1.4,1,?,3,0",
    ]
    for site in ("cleveland", "hungarian", "switzerland", "va"):
        (folder / f"processed.{site}.data").write_text("\n".join(rows) + "\n")

    def spoil() -> None:
        with (folder / "processed.va.data").open("a") as file:
            file.write("not,a,patient\n")

    return {"folder": str(folder)}, spoil


def make_phantom(folder: Path) -> Made:
    return {"hospitals": 2, "patients": [3, 4], "slices_per_patient": 1, "size": 16}, None


def make_phantom_pairs(folder: Path) -> Made:
    return {"hospitals": 2, "patients": [3, 4], "size": 16}, None


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


def make_mnist(folder: Path) -> Made:
    rng = np.random.default_rng(0)
    for part, count in (("train", 20), ("t10k", 10)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (count, 28, 28)))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    return {"folder": str(folder)}, None


def make_medmnist(folder: Path) -> Made:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 12), ("val", 4), ("test", 4)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count, dtype=np.uint8) % 3)[:, None]
    np.savez(folder / "tiny.npz", **arrays)
    return {"folder": str(folder)}, None


def make_lgg(folder: Path) -> Made:
    rng = np.random.default_rng(0)
    (folder / "patients_flair128").mkdir()
    lines = ["patient,institution"]
    for index in range(8):
        mask = np.zeros((5, 128, 128), bool)
        mask[2, 30:60, 40:70] = True
        flair = rng.integers(1, 255, (5, 128, 128), dtype=np.uint8)
        np.savez(folder / "patients_flair128" / f"P{index}_20000101.npz", flair=flair, mask=mask)
        lines.append(f"P{index},{'AB'[index % 2]}")
    (folder / "patients.csv").write_text("\n".join(lines) + "\n")
    return {
        "folder": str(folder)
    }, lambda: (folder / "patients_flair128" / "P2_20000101.npz").write_bytes(b"broken") and None


def make_nifti_pairs(folder: Path) -> Made:
    options, spoil = make_nifti(folder, patients=12)
    return {"folder": options["folder"], "table": options["table"], "size": [8, 8, 6]}, spoil


def make_nifti(folder: Path, patients: int = 6) -> Made:
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    lines = ["patient,site"]
    for index in range(patients):
        labels = np.zeros((6, 7, 8), np.uint8)
        labels[2:4, 2:5, 3:6] = 1 + index % 2
        for kind, values in (("images", rng.normal(size=(6, 7, 8)).astype(np.float32)), ("labels", labels)):
            nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.5, 2.0, 1.0])), folder / kind / f"p{index}.nii.gz")
        lines.append(f"p{index},{'AB'[index % 2]}")
    (folder / "sites.csv").write_text("\n".join(lines) + "\n")
    options = {"folder": str(folder), "table": "sites.csv", "size": 8, "slices_per_patient": 2}
    return options, lambda: (folder / "images" / "p2.nii.gz").write_bytes(b"broken") and None


def made(name: str, folder: Path) -> tuple[Source, Callable[[], None] | None]:
    maker = globals().get(f"make_{name}")
    assert maker is not None, f"source {name!r} has no maker of tiny data in {Path(__file__).name}: add make_{name}"
    folder.mkdir(exist_ok=True)
    options, spoil = maker(folder)
    return SOURCES.build(Entry(name, options)), spoil


def everything(source: Source) -> dict[str | None, Cases]:
    sites: tuple[str | None, ...] = source.sites() if source.has_sites else (None,)
    return {site: source.cases(site, seed=3) for site in sites}


@pytest.fixture(params=SOURCES.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_hospitals_are_sorted_and_share_no_patient(name: str, tmp_path: Path) -> None:
    source, _ = made(name, tmp_path / "data")
    assert list(source.sites()) == sorted(set(source.sites()))
    assert bool(source.sites()) == source.has_sites
    patients = [set(cases.patients) for cases in everything(source).values()]
    assert sum(map(len, patients)) == len(set().union(*patients))


def test_cases_are_well_formed(name: str, tmp_path: Path) -> None:
    for cases in everything(made(name, tmp_path / "data")[0]).values():
        assert len(cases) > 0
        assert np.isfinite(cases.inputs).all()
        assert 0 <= cases.targets.min() <= cases.targets.max() < len(cases.classes)
        assert cases.targets.shape in {(len(cases),), (len(cases), *cases.inputs.shape[2:]), cases.inputs.shape}
        assert cases.quarantined == ()


def test_two_loads_are_the_same(name: str, tmp_path: Path) -> None:
    source, _ = made(name, tmp_path / "data")
    first, second = everything(source), everything(source)
    for site, cases in first.items():
        assert cases.inputs.tobytes() == second[site].inputs.tobytes()
        assert cases.targets.tobytes() == second[site].targets.tobytes()


def test_the_order_of_files_does_not_matter(name: str, tmp_path: Path) -> None:
    source, _ = made(name, tmp_path / "data")
    before = everything(source)
    for path in sorted((p for p in (tmp_path / "data").rglob("*") if p.is_file()), reverse=True):
        shutil.copy(path, moved := path.with_name(path.name + ".moved"))
        path.unlink()
        moved.rename(path)
    after = everything(source)
    assert all(before[site].inputs.tobytes() == after[site].inputs.tobytes() for site in before)


def test_splits_share_no_patient(name: str, tmp_path: Path) -> None:
    for cases in everything(made(name, tmp_path / "data")[0]).values():
        parts = [set(part.patients) for part in split(cases, Split(0.2, 0.2), seed=1).values()]
        assert sum(map(len, parts)) == len(set(cases.patients))
        assert parts[0]


def test_a_broken_case_is_quarantined_and_the_others_stay(name: str, tmp_path: Path) -> None:
    source, spoil = made(name, tmp_path / "data")
    if spoil is None:
        pytest.skip(f"{name} has no files of single cases")
    before = sum(len(cases) for cases in everything(source).values())
    spoil()
    after = everything(source)
    assert [len(cases.quarantined) for cases in after.values() if cases.quarantined] == [1]
    assert 0 < sum(len(cases) for cases in after.values()) <= before


def test_a_missing_folder_is_named_with_the_remedy(name: str, tmp_path: Path) -> None:
    loader = SOURCES.load(name)
    if "folder" not in SOURCES.options(name):
        pytest.skip(f"{name} has no folder")
    missing = loader(folder=str(tmp_path / "absent"))
    with pytest.raises(SourceError, match=r"no folder .*absent.*(source\.folder|fetch)"):
        everything(missing)

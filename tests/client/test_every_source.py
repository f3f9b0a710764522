"""What every source must do. A new source needs a maker of tiny data here and changes of one person, by its name."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from client.source import Source
from client.sources.heart import Heart
from client.sources.medmnist import MedMnist
from client.sources.nifti_pairs import NiftiPairs
from client.splitting import split
from common.cases import Cases, SiteId
from common.catalogue import SOURCES
from common.errors import SourceError
from common.options import Entry
from common.plugins import ANYTHING, trusting
from common.pooled_statistics import Pooled
from common.study import Split
from tests.client.dicom_files import save, save_all, segmentation, slices
from tests.client.dicom_files import values as stored_values

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
    return {"folder": str(folder), "classes": ["a", "b", "c"]}, None


def make_dicom(folder: Path) -> Made:
    lines = ["PatientID,site"]
    for index in range(6):
        made = slices(stored_values((3, 6, 7), seed=index), patient=f"P{index}", series=f"s{index}")
        save_all(made, folder / str(index))
        masks = np.zeros((3, 6, 7, 1), np.uint8)
        masks[1, 2:4, 3:5] = 1
        save(segmentation(made, masks, ("structure",)), folder / str(index) / "segmentation")
        lines.append(f"P{index},{'AB'[index % 2]}")
    (folder / "persons.csv").write_text("\n".join(lines) + "\n")

    def spoil() -> None:
        sorted((folder / "2").glob("IM*"))[0].unlink()
        sorted((folder / "2").glob("IM*"))[0].unlink()

    return {"folder": str(folder), "table": "persons.csv", "size": 8, "slices_per_patient": 2}, spoil


def dicom_with_another_series(folder: Path) -> None:
    for path in (folder / "2").iterdir():
        path.unlink()
    made = slices(stored_values((4, 9, 5), seed=9), patient="P2", series="other", gap_mm=1.0)
    save_all(made, folder / "2")
    save(segmentation(made, np.ones((4, 9, 5, 1), np.uint8), ("structure",)), folder / "2" / "segmentation")


def dicom_without_a_person(folder: Path) -> None:
    shutil.rmtree(folder / "3")
    without_line(folder / "persons.csv", 4)


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


def make_images(folder: Path) -> Made:
    rng = np.random.default_rng(0)
    for index in range(6):
        for kind in ("ill", "well"):
            path = folder / "AB"[index % 2] / kind / f"p{index}_{kind}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (6, 8), dtype=np.uint8)).save(path)
    options = {"images": "{site}/{class}/{person}_*.png", "classes": ["ill", "well"], "size": 8}
    return {"folder": str(folder), **options}, lambda: (folder / "A/ill/p2_ill.png").write_bytes(b"broken") and None


DATASET = """
from pathlib import Path
import torch

class Rows:
    def __init__(self, folder):
        lines = [line.split(",") for line in (Path(folder) / "rows.txt").read_text().split()]
        self.persons, self.hospital = [line[0] for line in lines], [line[1] for line in lines]
        self.lines = lines

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, index):
        *_, first, second, label = self.lines[index]
        return torch.tensor([float(first), float(second)]), int(label)
"""


def make_torch(folder: Path) -> Made:
    (folder / "rows.py").write_text(DATASET)
    rows = [f"p{index},{'AB'[index % 2]},{index / 4},{index % 3},{index // 2 % 2}" for index in range(8)]
    (folder / "rows.txt").write_text("\n".join(rows) + "\n")
    options = {"dataset": f"{folder / 'rows.py'}:Rows", "folder": str(folder), "sites_in": "hospital"}

    def spoil() -> None:
        path = folder / "rows.txt"
        path.write_text(path.read_text().replace("0.5,2,1", "half,2,1"))

    return {**options, "classes": ["no", "yes"], "pooled": False}, spoil


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


def make_table(folder: Path) -> Made:
    for site in ("Köln", "Boston"):
        lines = ["age;weight;sex;sick"]
        lines += [
            f"{40 + index};{60 + index},5;{'fm'[index % 2]};{['no', 'yes'][index % 3 > 0]}" for index in range(9)
        ]
        (folder / f"{site}.csv").write_text("\n".join(lines) + "\n")
    options: dict[str, object] = {"folder": str(folder), "label": "sick", "classes": ["no", "yes"], "decimal": ","}
    options["categorical"] = {"sex": ["f", "m"]}

    def spoil() -> None:
        with (folder / "Köln.csv").open("a") as file:
            file.write("50;70,5;f\n")

    return options, spoil


def make_npz(folder: Path) -> Made:
    rng = np.random.default_rng(0)
    for site in ("A", "B"):
        images = rng.integers(0, 256, (9, 6, 7), dtype=np.uint8)
        np.savez(
            folder / f"{site}.npz", x=images.astype(np.float32), y=np.arange(9) % 3, spacing=np.array([1.0, 2.0])
        )

    def spoil() -> None:
        npz_with_other_cases(folder, lambda arrays: arrays["x"].__setitem__((3, 0, 0), np.nan))

    return {"folder": str(folder), "classes": ["a", "b", "c"], "divide_by": 255}, spoil


def npz_with_other_cases(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    with np.load(folder / "A.npz") as file:
        arrays = dict(file)
    change(arrays)
    np.savez(folder / "A.npz", **arrays)


def npz_with_another_image(folder: Path) -> None:
    npz_with_other_cases(folder, lambda arrays: arrays["x"].__setitem__(3, 255))


def npz_with_one_image_less(folder: Path) -> None:
    def shorten(arrays: dict[str, np.ndarray]) -> None:
        arrays |= {name: np.delete(arrays[name], 2, axis=0) for name in "xy"}

    npz_with_other_cases(folder, shorten)


def table_with_another_row(folder: Path) -> None:
    path = folder / "Köln.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "99;199,25;m;no", *lines[2:]]) + "\n")


def table_with_an_unusable_row(folder: Path) -> None:
    path = folder / "Köln.csv"
    path.write_text(path.read_text().replace("41;", "-9;"))


def make_bids(folder: Path) -> Made:
    rng = np.random.default_rng(0)
    lines = ["participant_id\tcentre"]
    for index in range(6):
        labels = np.zeros((6, 7, 8), np.uint8)
        labels[2:4, 2:5, 3:6] = 1
        for place, suffix, values in (
            (folder, "T1w", rng.normal(size=(6, 7, 8)).astype(np.float32)),
            (folder / "derivatives" / "manual", "dseg", labels),
        ):
            path = place / f"sub-{index}" / "ses-1" / "anat" / f"sub-{index}_ses-1_{suffix}.nii.gz"
            path.parent.mkdir(parents=True)
            nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.5, 2.0, 1.0])), path)
        lines.append(f"sub-{index}\t{'AB'[index % 2]}")
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    broken = folder / "sub-2" / "ses-1" / "anat" / "sub-2_ses-1_T1w.nii.gz"
    options: dict[str, object] = {"folder": str(folder), "site_column": "centre", "size": 8, "slices_per_patient": 2}
    return options, lambda: broken.write_bytes(b"broken") and None


def bids_with_another_session(folder: Path) -> None:
    for place in (folder, folder / "derivatives" / "manual"):
        for path in sorted((place / "sub-3").rglob("*.nii.gz")):
            other = Path(str(path).replace("ses-1", "ses-2"))
            other.parent.mkdir(parents=True)
            shutil.copy(path, other)


def without_line(path: Path, number: int) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:number] + lines[number + 1 :]))


def heart_with_another_first_row(folder: Path) -> None:
    path = folder / "processed.va.data"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["29,1,2,200,600,1,1,90,1,5.5,3,0,6,4", *lines[1:]]) + "\n")


def heart_with_a_broken_first_row(folder: Path) -> None:
    path = folder / "processed.va.data"
    path.write_text("?" + path.read_text())


def nifti_with_another_volume(folder: Path) -> None:
    rng = np.random.default_rng(9)
    for kind, values in (("images", rng.normal(9, 7, (5, 9, 9)).astype(np.float32)), ("labels", np.ones((5, 9, 9)))):
        nib.save(
            nib.Nifti1Image(values.astype(np.float32), np.diag([3.0, 3.0, 3.0, 1.0])), folder / kind / "p2.nii.gz"
        )


def lgg_with_another_patient(folder: Path) -> None:
    flair = np.random.default_rng(9).integers(100, 255, (7, 128, 128), dtype=np.uint8)
    np.savez(folder / "patients_flair128" / "P2_20000101.npz", flair=flair, mask=flair > 180)


def lgg_with_a_longer_name(folder: Path) -> None:
    """A new patient, whose file's name begins as another's does."""
    place = folder / "patients_flair128"
    shutil.copy(place / "P2_20000101.npz", place / "P4_2_20000101.npz")
    with (folder / "patients.csv").open("a") as table:
        table.write("P4_2,A\n")


def images_with_another_image(folder: Path) -> None:
    Image.fromarray(np.full((9, 3), 77, np.uint8)).save(folder / "A/well/p2_well.png")


def images_with_a_person_less(folder: Path) -> None:
    (folder / "A/ill/p2_ill.png").unlink()
    (folder / "A/well/p2_well.png").unlink()


def torch_with_another_row(folder: Path) -> None:
    path = folder / "rows.txt"
    path.write_text(path.read_text().replace("p2,A,0.5,2,1", "p2,A,9.0,9.0,0"))


def mnist_with_another_digit(folder: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28))
    images[3] = 255 - images[3]
    write_idx(folder / "train-images-idx3-ubyte.gz", images)
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.where(np.arange(20) == 3, 9, np.arange(20) % 10))


def medmnist_with_another_image(folder: Path) -> None:
    with np.load(folder / "tiny.npz") as file:
        arrays = dict(file)
    arrays["train_images"][3], arrays["train_labels"][3] = 255, 0
    np.savez(folder / "tiny.npz", **arrays)


CHANGES: dict[str, tuple[Callable[[Path], dict[str, object] | None], ...]] = {
    "bids": (bids_with_another_session, lambda folder: without_line(folder / "participants.tsv", 3)),
    "heart": (
        heart_with_another_first_row,
        heart_with_a_broken_first_row,
        lambda folder: without_line(folder / "processed.va.data", 0),
    ),
    "images": (images_with_another_image, images_with_a_person_less),
    "lgg": (
        lgg_with_another_patient,
        lgg_with_a_longer_name,
        lambda folder: without_line(folder / "patients.csv", 3),
    ),
    "dicom": (dicom_with_another_series, dicom_without_a_person),
    "medmnist": (medmnist_with_another_image,),
    "mnist": (mnist_with_another_digit,),
    "nifti": (nifti_with_another_volume, lambda folder: without_line(folder / "sites.csv", 3)),
    "nifti_pairs": (nifti_with_another_volume, lambda folder: without_line(folder / "sites.csv", 3)),
    "npz": (npz_with_another_image, npz_with_one_image_less),
    "phantom": (lambda folder: {"patients": [2, 4]},),
    "phantom_pairs": (lambda folder: {"patients": [3, 3]},),
    "table": (
        table_with_another_row,
        table_with_an_unusable_row,
        lambda folder: without_line(folder / "Köln.csv", 1),
    ),
    "torch": (torch_with_another_row, lambda folder: without_line(folder / "rows.txt", 2)),
}
"""Of every source: how one person's data can change, or that person come or go, in what `make_NAME` made."""


def made(name: str, folder: Path) -> tuple[Source, Callable[[], None] | None]:
    maker = globals().get(f"make_{name}")
    assert maker is not None, f"source {name!r} has no maker of tiny data in {Path(__file__).name}: add make_{name}"
    folder.mkdir(exist_ok=True)
    options, spoil = maker(folder)
    return SOURCES.build(Entry(name, options)), spoil


def everything(source: Source) -> dict[str | None, Cases]:
    sites: tuple[str | None, ...] = source.sites() if source.has_sites else (None,)
    return {site: source.cases(site, seed=3) for site in sites}


@pytest.fixture(autouse=True)
def trusted() -> Iterator[None]:
    """Datasets of these tests are code of their own."""
    with trusting(ANYTHING):
        yield


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
    source, _ = made(name, tmp_path / "data")
    if "folder" not in SOURCES.options(name):
        pytest.skip(f"{name} has no folder")
    missing = replace(source, folder=str(tmp_path / "absent"))  # type: ignore[type-var]
    with pytest.raises(SourceError, match=r"no folder .*absent.*(source\.folder|fetch)"):
        everything(missing)


def contents(source: Source) -> Counter[tuple[str, ...]]:
    """Every case with all that a network and an evaluation can see of it, and its place in the splits."""
    found: Counter[tuple[str, ...]] = Counter()
    for site, cases in everything(source).items():
        for part, own in split(cases, Split(0.3, 0.3, "independent"), seed=1).items():
            for index in range(len(own)):
                one = own.take(np.array([index]))
                seen = [values_of(one, column) for column in sorted(one.columns) if column != "patients"]
                digest = sha256(b"|".join(seen))
                found[str(site), str(own.patients[index]), part, digest.hexdigest(), repr(own.classes)] += 1
    return found


def values_of(one: Cases, column: str) -> bytes:
    value = one.columns[column].gather()[0]
    return str(value).encode() if np.asarray(value).dtype.kind == "U" else np.asarray(value).tobytes()


def check_that_only_one_person_changes(source: Source, change: Callable[[], Source]) -> None:
    before = contents(source)
    after = contents(change())
    gone, new = ({person for _, person, *_ in part} for part in (before - after, after - before))
    assert gone or new, "the change reached no case"
    assert len(gone) <= 1 and len(new) <= 1, f"one person changed the cases of {sorted(gone | new)}"


def test_one_person_changes_no_other_persons_cases_nor_place(name: str, tmp_path: Path) -> None:
    assert CHANGES.get(name), f"source {name!r} has no change of one person in {Path(__file__).name}: add CHANGES"
    for number, change in enumerate(CHANGES[name]):
        folder = tmp_path / str(number)
        source, _ = made(name, folder)
        if source.pooled_statistics:
            pytest.skip(f"{name} says that it computes {source.pooled_statistics[0].what}")

        def changed(change: Callable[[Path], Any] = change, source: Source = source, place: Path = folder) -> Source:
            return replace(source, **(change(place) or {}))  # type: ignore[type-var]

        check_that_only_one_person_changes(source, changed)


def test_every_source_says_what_a_person_is(name: str, tmp_path: Path) -> None:
    source, _ = made(name, tmp_path / "data")
    assert source.persons.endswith(".") and "person" in source.persons
    for one in source.pooled_statistics:
        assert one.what and one.option.startswith("source.") and one.remedy


@dataclass(frozen=True)
class Undeclared(Heart):
    """A planted fault: what it computes from several patients, it does not say."""

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        return ()


@dataclass(frozen=True)
class Shuffled(Undeclared):
    """A planted fault: FLamby's own way to split, by a shuffle of all patients."""

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        cases = super().cases(site, seed)
        test = np.random.default_rng(43).permutation(len(cases)) < len(cases) // 3
        return replace(cases.with_columns(given_split=np.where(test, "test", "train")), prescribed=("test",))


def many_hearts(folder: Path) -> None:
    folder.mkdir()
    for site in ("cleveland", "hungarian", "switzerland", "va"):
        rows = [f"{30 + index},1,{1 + index % 4},{120 + index},233,1,2,150,0,2.3,3,0,6,0" for index in range(40)]
        (folder / f"processed.{site}.data").write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize("change", CHANGES["heart"])
@pytest.mark.parametrize("planted", [Undeclared(scaling="hospital"), Shuffled()])
def test_a_planted_source_that_mixes_patients_is_caught(
    planted: Undeclared, change: Callable[[Path], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    many_hearts(folder)

    def changed() -> Source:
        change(folder)
        return planted_here

    planted_here = replace(planted, folder=str(folder))
    if isinstance(planted, Shuffled) and change is heart_with_another_first_row:
        pytest.skip("a shuffle by number alone follows no value")
    with pytest.raises(AssertionError, match="one person changed"):
        check_that_only_one_person_changes(planted_here, changed)


@pytest.mark.parametrize("change", CHANGES["heart"])
@pytest.mark.parametrize("given_split", ["none", "flamby"])
def test_of_forty_patients_one_moves_no_other(
    given_split: Any, change: Callable[[Path], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    many_hearts(folder)
    source = Heart(str(folder), given_split=given_split)
    check_that_only_one_person_changes(source, lambda: (change(folder), source)[1])


def test_what_a_source_computes_from_several_patients_is_declared() -> None:
    assert [one.option for one in Heart(scaling="hospital").pooled_statistics] == ["source.scaling = 'hospital'"]
    assert [one.option for one in MedMnist().pooled_statistics] == ["source.classes = []"]
    assert [one.option for one in NiftiPairs().pooled_statistics] == ["source.name = 'nifti_pairs'"]

"""Tiny data of every source, and changes of one person in it. A new source adds `make_NAME` and a line of CHANGES."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from tests.client import orthanc
from tests.client.dicom_files import save, save_all, segmentation, slices, uid
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


def make_morpho(folder: Path) -> Made:
    return {**make_mnist(folder)[0], "digits": "mnist", "hospitals": 2, "patients": [3, 4], "scanners": True}, None


def make_phantom_causes(folder: Path) -> Made:
    return {"hospitals": 2, "patients": [2, 1], "size": 16}, None


def make_chest_causes(folder: Path) -> Made:
    rng, arrays = np.random.default_rng(0), {}
    for part, count in (("train", 8), ("val", 2), ("test", 2)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count, dtype=np.uint8) % 2)[:, None]
    np.savez(folder / "tiny.npz", **arrays)
    return {"folder": str(folder), "hospitals": 2, "patients": [3, 4]}, None


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


def make_dicomweb(folder: Path) -> Made:
    """The same series, in a real PACS."""
    pacs = orthanc.shared()
    lines = ["PatientID,site"]
    for index in range(6):
        made = slices(stored_values((3, 6, 7), seed=index), patient=f"P{index}", series=f"s{index}")
        masks = np.zeros((3, 6, 7, 1), np.uint8)
        masks[1, 2:4, 3:5] = 1
        pacs.put([*made, segmentation(made, masks, ("structure",), name=f"P{index}")])
        lines.append(f"P{index},{'AB'[index % 2]}")
    orthanc.write_settings(folder, pacs.url)
    (folder / "persons.csv").write_text("\n".join(lines) + "\n")

    def spoil() -> None:
        for name in ("1", "2"):
            pacs.remove("Instance", uid(f"s2/{name}"))

    return {"folder": str(folder), "table": "persons.csv", "size": 8, "slices_per_patient": 2}, spoil


def dicomweb_with_another_series(folder: Path) -> None:
    pacs = orthanc.shared_as_it_is()
    pacs.remove("Study", uid("study of P2"))
    made = slices(stored_values((4, 9, 5), seed=9), patient="P2", series="other", gap_mm=1.0)
    pacs.put([*made, segmentation(made, np.ones((4, 9, 5, 1), np.uint8), ("structure",), name="P2")])


def dicomweb_without_a_person(folder: Path) -> None:
    orthanc.shared_as_it_is().remove("Study", uid("study of P3"))
    without_line(folder / "persons.csv", 4)


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


def make_acquired(folder: Path) -> Made:
    options, spoil = make_lgg(folder)
    images = {"name": "lgg", "size": 16}
    return {**options, "images": images, "operators": ["denoising"], "noise": [0.1, 0.2]}, spoil


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
    "acquired": (lgg_with_another_patient, lambda folder: without_line(folder / "patients.csv", 3)),
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
    "chest_causes": (lambda folder: {"patients": [2, 4]},),
    "dicomweb": (dicomweb_with_another_series, dicomweb_without_a_person),
    "dicom": (dicom_with_another_series, dicom_without_a_person),
    "medmnist": (medmnist_with_another_image,),
    "mnist": (mnist_with_another_digit,),
    "morpho": (mnist_with_another_digit, lambda folder: {"patients": [2, 4]}),
    "nifti": (nifti_with_another_volume, lambda folder: without_line(folder / "sites.csv", 3)),
    "nifti_pairs": (nifti_with_another_volume, lambda folder: without_line(folder / "sites.csv", 3)),
    "npz": (npz_with_another_image, npz_with_one_image_less),
    "phantom": (lambda folder: {"patients": [2, 4]},),
    "phantom_causes": (lambda folder: {"patients": [1, 1]},),
    "phantom_pairs": (lambda folder: {"patients": [3, 3]},),
    "table": (
        table_with_another_row,
        table_with_an_unusable_row,
        lambda folder: without_line(folder / "Köln.csv", 1),
    ),
    "torch": (torch_with_another_row, lambda folder: without_line(folder / "rows.txt", 2)),
}
"""Of every source: how one person's data can change, or that person come or go, in what `make_NAME` made."""

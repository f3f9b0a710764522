"""Data sets with an official home: what they are, where they come from, and how they are put in place.

The heart files are pinned by SHA-256. The Decathlon's archive is pinned by the MD5 that MONAI publishes for it: no
SHA-256 of it was found published, and it could not be reached from where this was written to compute one. MD5 finds
damage and mix-ups, not a forger who chose both files.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from common.data.download import Digest, Remote, Watcher, download
from common.errors import DownloadError
from common.files.locks import held
from common.study.spelling import unknown
from experiments.unpacking import Limits, unpack

UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/heart-disease"
DECATHLON = "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task04_Hippocampus.tar"
OURS = {"imagesTr": "images", "labelsTr": "labels"}
LIMITS = Limits(members=2000, unpacked_bytes=1 << 30)
LARGEST_ARCHIVE_BYTES = 1 << 27


@dataclass(frozen=True)
class DataSet:
    """files: name in the folder to where it is. arrange: what is done with the folder afterwards."""

    title: str
    licence: str
    files: Mapping[str, Remote] = field(default_factory=dict)
    arrange: Callable[[Path], None] | None = None


def _heart(site: str, sha256: str) -> Remote:
    return Remote(f"{UCI}/processed.{site}.data", Digest("sha256", sha256), 1 << 20)


def unpack_decathlon(folder: Path) -> None:
    """Turn the Decathlon's archive into `images/` and `labels/`; the archive is deleted when all is in place.

    Raises DownloadError for an archive with links, paths that lead outside, or more than it may hold.
    """
    archive, unpacked = folder / "Task04_Hippocampus.tar", folder / ".unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        _unpack_pairs(archive, unpacked)
    except OSError as error:
        raise DownloadError(f"{archive.name} could not be unpacked safely: {type(error).__name__}.") from error
    else:
        for ours in OURS.values():
            (folder / ours).mkdir(exist_ok=True)
            for path in sorted((unpacked / ours).iterdir()):
                path.replace(folder / ours / path.name)
        archive.unlink()
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _unpack_pairs(archive: Path, unpacked: Path) -> None:
    """The archive's images and labels under `unpacked`."""
    for ours in OURS.values():
        (unpacked / ours).mkdir(parents=True)

    def place(path: PurePosixPath) -> Path | None:
        wanted = path.parent.name in OURS and path.name.endswith(".nii.gz") and not path.name.startswith(".")
        return unpacked / OURS[path.parent.name] / path.name if wanted else None

    unpack(archive, place, LIMITS)


DATA_SETS: dict[str, DataSet] = {
    "phantom": DataSet("Phantom hospitals: made on the fly from an atlas that is installed", "see NOTICE"),
    "heart": DataSet(
        "UCI heart disease, four hospitals",
        "CC BY 4.0; Janosi, Steinbrunn, Pfisterer, Detrano",
        {
            "processed.cleveland.data": _heart(
                "cleveland", "a74b7efa387bc9d108d7d0115d831fe9b414b29ae7124f331b622b4efa0427c8"
            ),
            "processed.hungarian.data": _heart(
                "hungarian", "d1ad108f785768cd3d7e82dc522e6f5a61eea93cccfb3a46ee8076f73fc3d796"
            ),
            "processed.switzerland.data": _heart(
                "switzerland", "834a405ccf5b66ab4056bb77794adc8df0b7125186454c0a1d002d33c6c3b314"
            ),
            "processed.va.data": _heart("va", "e7c93d8d0d2acdadfa4c5e8de768e2191e7f618b952e29623f1f0d5949ff6b8f"),
        },
    ),
    "hippocampus": DataSet(
        "Medical Segmentation Decathlon, Task 04, hippocampus (pinned by the published MD5, not SHA-256)",
        "CC BY-SA 4.0; Simpson et al. 2019",
        {
            "Task04_Hippocampus.tar": Remote(
                DECATHLON, Digest("md5", "9d24dba78a72977dbd1d2e110310f31b"), LARGEST_ARCHIVE_BYTES
            )
        },
        unpack_decathlon,
    ),
}


def describe() -> Iterator[str]:
    """One line a data set."""
    for name, data_set in DATA_SETS.items():
        yield f"{name:12} {data_set.title}. {data_set.licence}."


def fetch(name: str, folder: Path, watcher: Callable[[str], Watcher]) -> str:
    """Fetch and arrange a data set in `folder/<name>`; what to say to the person. Raises DownloadError."""
    if name not in DATA_SETS:
        raise unknown("data set", name, DATA_SETS)
    data_set, place = DATA_SETS[name], folder / name
    if not data_set.files:
        return f"{name} needs no download."
    if _is_arranged(data_set, place):
        return f"{name} is already in {place}."
    for file, remote in data_set.files.items():
        download(remote, place / file, watcher(file))
    if data_set.arrange is not None:
        data_set.arrange(place)
    return f"{name} is in {place}."


def _is_arranged(data_set: DataSet, place: Path) -> bool:
    """Whether an archive was put in place to the end: it is deleted last."""
    unfinished = any((place / file).exists() for file in data_set.files)
    return data_set.arrange is not None and any((place / "labels").glob("*.nii.gz")) and not unfinished


def fetch_with_progress(name: str, folder: Path, console: Console) -> str:
    """`fetch` with a bar a file. Waits for another process that fetches it into the same folder."""
    if name not in DATA_SETS or not DATA_SETS[name].files:
        return fetch(name, folder, lambda file: lambda done, total: None)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as progress:

        def watcher(file: str) -> Watcher:
            bar = progress.add_task(file, total=None)
            return lambda done, total: progress.update(bar, completed=done, total=total)

        with held(folder, f".{name}.fetching", "", lambda: console.print("Another process is fetching it.")):
            return fetch(name, folder, watcher)

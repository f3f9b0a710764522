"""UCI heart disease: 13 features and a diagnosis for the patients of four hospitals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from client.source import Source
from client.sources._folders import existing, needed
from common.cases import Cases, Quarantined, SiteId
from common.errors import SourceError
from common.spelling import unknown

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
REMEDY = "Fetch it with `wardround data fetch heart`, or name its folder with --set source.folder=..."
MOSTLY_MISSING = (10, 11, 12)
CHEST_PAIN, RESTING_ECG, DIAGNOSIS = 2, 6, 13
NUMERIC = (0, 1, 3, 4, 5, 7, 8, 9)
COLUMNS = 14
CODES = {1: (0, 1), CHEST_PAIN: (1, 2, 3, 4), RESTING_ECG: (0, 1, 2), DIAGNOSIS: (0, 1, 2, 3, 4)}
LARGEST_NUMBER = 10_000
REFERENCE = np.array([55.0, 0.5, 130.0, 200.0, 0.5, 140.0, 0.5, 1.0])
"""Age in years, sex, resting blood pressure in mmHg, cholesterol in mg/dl, raised fasting sugar, largest heart
rate a minute, angina under exercise, ST depression in mm: round figures in the middle of what adults show."""
REFERENCE_SPREAD = np.array([10.0, 0.5, 20.0, 100.0, 0.5, 25.0, 0.5, 1.0])
FEWEST_TO_SPLIT = 3
FLAMBY_TEST_SHARE, FLAMBY_SPLIT_SEED = 0.34, 43


@dataclass(frozen=True)
class Heart:
    """The folder of the four `processed.*.data` files.

    Rows and features are FLamby's (du Terrail et al. 2022): the columns slope, ca and thal are left out, as they
    are mostly missing outside Cleveland, and so is every patient with another value missing. That leaves 303,
    261, 46 and 130 patients, 740 in all. Chest pain (4 kinds) and resting ECG (3) are encoded as indicators of
    all kinds but the first: 13 features. The diagnosis is 0 or, for 1 to 4, 1.

    scaling: "reference" centres and divides each number by a round clinical figure that is the same everywhere
    and comes from no patient here, so that no statistic crosses between hospitals or from test to training;
    "hospital" uses the hospital's own mean and deviation; "none" leaves raw values, as FLamby does.
    given_split: "flamby" keeps its fixed split of each hospital.
    """

    folder: str = ""
    scaling: Literal["reference", "hospital", "none"] = "reference"
    given_split: Literal["none", "flamby"] = "none"
    has_sites: ClassVar[bool] = True

    def sites(self) -> tuple[SiteId, ...]:
        """The four hospitals."""
        return HOSPITALS

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All usable patients of one hospital, in the order of its file. inputs: (N, 13); targets: (N,)."""
        if site not in HOSPITALS:
            raise unknown("hospital", str(site), HOSPITALS)
        path = needed(existing(self.folder, "heart", REMEDY) / f"processed.{site}.data", REMEDY)
        rows, names, quarantined = _read(path, site)
        features, labels = _features(rows), (rows[:, DIAGNOSIS] > 0).astype(np.int64)
        if self.scaling == "hospital":
            features = _standardised(features)
        if self.scaling == "reference":
            features[:, : len(NUMERIC)] = (features[:, : len(NUMERIC)] - REFERENCE) / REFERENCE_SPREAD
        return Cases(
            features.astype(np.float32),
            labels,
            np.array(names),
            ("healthy", "heart disease"),
            _flamby_split(labels) if self.given_split == "flamby" else None,
            quarantined=quarantined,
        )


def _read(path: Path, site: SiteId) -> tuple[NDArray[np.float64], list[str], tuple[Quarantined, ...]]:
    rows: list[list[float]] = []
    names: list[str] = []
    quarantined: list[Quarantined] = []
    with path.open(encoding="ascii", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            name = f"{site}-{number:03d}"
            try:
                rows.append(_numbers(line.strip().split(",")))
                names.append(name)
            except ValueError as error:
                quarantined.append(Quarantined(name, str(error)))
    if not rows:
        raise SourceError(f"{path} holds no usable patient: rows of {COLUMNS} numbers, ? for missing, are needed.")
    return np.array(rows), names, tuple(quarantined)


def _numbers(row: list[str]) -> list[float]:
    if len(row) != COLUMNS:
        raise ValueError(f"{len(row)} columns instead of {COLUMNS}")
    values = [0.0 if i in MOSTLY_MISSING else float("nan" if text == "?" else text) for i, text in enumerate(row)]
    missing = [index for index, value in enumerate(values) if not math.isfinite(value)]
    if missing:
        raise ValueError(f"missing values in columns {missing}")
    wrong = [index for index, value in enumerate(values) if not _is_possible(index, value)]
    if wrong:
        raise ValueError(f"impossible values in columns {wrong}")
    return values


def _is_possible(index: int, value: float) -> bool:
    return value in CODES[index] if index in CODES else abs(value) <= LARGEST_NUMBER


def _features(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 13): eight numbers, then indicators of chest pain 2 to 4 and of resting ECG 1 and 2."""
    pain = [rows[:, CHEST_PAIN] == kind for kind in (2, 3, 4)]
    ecg = [rows[:, RESTING_ECG] == kind for kind in (1, 2)]
    return np.column_stack([rows[:, list(NUMERIC)], *pain, *ecg]).astype(np.float64)


def _standardised(features: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(scaled, dtype=np.float64)


def _flamby_split(labels: NDArray[np.int64]) -> NDArray[np.str_]:
    """FLamby's fixed split of a hospital: scikit-learn's, 66 to 34, stratified by label where both are there."""
    from sklearn.model_selection import train_test_split

    if len(labels) < FEWEST_TO_SPLIT:
        raise SourceError(f"{len(labels)} patients cannot be split into training and test.")
    counts = np.bincount(labels, minlength=2)
    _, test = train_test_split(
        np.arange(len(labels)),
        test_size=FLAMBY_TEST_SHARE,
        train_size=1 - FLAMBY_TEST_SHARE,
        random_state=FLAMBY_SPLIT_SEED,
        shuffle=True,
        stratify=labels if counts.min() > 2 else None,
    )
    split = np.full(len(labels), "train", dtype="<U10")
    split[test] = "test"
    return split


source: type[Source] = Heart

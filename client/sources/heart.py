"""UCI heart disease: 13 features and a diagnosis for the patients of four hospitals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from client.new_cases import Kind, Learned, NewCase, NewFile
from client.source import Source, gathered
from client.sources._flamby_heart import TEST_ROWS
from client.sources._folders import LARGEST_TABLE_BYTES, existing, needed
from client.sources._table_text import decoded
from common.asking.records import Records
from common.data.cases import Cases, Quarantined, SiteId
from common.data.pooled_statistics import Pooled
from common.errors import FileError, SourceError
from common.files.access import read_all
from common.study.checks import one_of
from common.study.spelling import unknown

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
DIGITS_OF_NAME = 12
KEPT: Mapping[str, Callable[[NDArray[np.float64]], NDArray[Any]]] = {
    "age": lambda rows: rows[:, 0],
    "sex": lambda rows: np.where(rows[:, 1] > 0, "m", "f"),
}
NAMES = (
    "age",
    "sex",
    "cp",
    "trestbps",
    "chol",
    "fbs",
    "restecg",
    "thalach",
    "exang",
    "oldpeak",
    "slope",
    "ca",
    "thal",
    "num",
)
"""UCI's own: age in years, sex, chest pain, resting blood pressure in mmHg, cholesterol in mg/dl, raised fasting
sugar, resting ECG, largest heart rate a minute, angina under exercise, ST depression in mm, its slope, vessels
coloured, thallium scan, diagnosis (0: healthy)."""
INPUTS = (
    *("age", "male sex", "resting blood pressure", "cholesterol", "raised fasting sugar", "largest heart rate"),
    *("angina under exercise", "ST depression", "atypical angina", "chest pain that is no angina", "no chest pain"),
    *("ST-T changes in the resting ECG", "hypertrophy in the resting ECG"),
)
"""What the columns of an input are, in order. Typical angina and a normal ECG have none of their own."""
DISEASE = "disease"
"""0 or 1, what is to be predicted: `num` above 0."""
WORDS_OF = {
    "sex": {0: "f", 1: "m"},
    "cp": {1: "1", 2: "2", 3: "3", 4: "4"},
    "restecg": {0: "0", 1: "1", 2: "2"},
    "slope": {1: "1", 2: "2", 3: "3"},
    "thal": {3: "3", 6: "6", 7: "7"},
}
"""Columns whose numbers are names."""
SCALING = Pooled(
    "means and deviations of each hospital's patients",
    "source.scaling = 'hospital'",
    "set source.scaling = 'reference', which uses public constants, or 'none'",
)


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
    given_split: "flamby" keeps its split of each hospital, as a public list; a row that is not in it trains.
    keep: age (years) and sex (f, m) as the cases hand them on; what report.subgroups names is added by itself.

    Questions read the fourteen columns by UCI's names, sex as f and m, and `disease`, 0 or 1.

    A patient is named by the digest of its row, so that no other row's presence or place in the file changes it.
    """

    persons: ClassVar[str] = "A person is a row; the files do not say whether two rows are of one."

    folder: str = ""
    scaling: Literal["reference", "hospital", "none"] = "reference"
    given_split: Literal["none", "flamby"] = "none"
    keep: tuple[str, ...] = ()
    has_sites: ClassVar[bool] = True
    new_kinds: ClassVar[tuple[Kind, ...]] = ("table",)

    def __post_init__(self) -> None:
        for name in self.keep:
            one_of("source", KEPT, keep=name)

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """Means and deviations, where `scaling` asks for them."""
        return (SCALING,) if self.scaling == "hospital" else ()

    def sites(self) -> tuple[SiteId, ...]:
        """The four hospitals."""
        return HOSPITALS

    def cases(self, site: SiteId | None, seed: int) -> Cases:
        """All usable patients of one hospital, in the order of its file. inputs: (N, 13); targets: (N,)."""
        site = _hospital(site)
        rows, names, quarantined = _read(self._path(site), site)
        return Cases.of(
            self._inputs(rows),
            (rows[:, DIAGNOSIS] > 0).astype(np.int64),
            np.array(names),
            ("healthy", "heart disease"),
            quarantined=quarantined,
            **self._given(site, names),
            **self._kept(rows),
        )

    def records(self, site: SiteId | None, seed: int) -> Records:
        """The same patients, with what the file says of slope, ca and thal as well."""
        site = _hospital(site)
        rows, names, _ = _read(self._path(site), site, raw=True)
        numbers = dict(zip(NAMES, rows.T, strict=True)) | {DISEASE: (rows[:, DIAGNOSIS] > 0).astype(np.float64)}
        columns = {
            name: _in_words(values, WORDS_OF[name]) if name in WORDS_OF else values.copy()
            for name, values in numbers.items()
        }
        return Records(columns, np.array(names), site)

    @property
    def levels(self) -> Mapping[str, tuple[str, ...]]:
        """Of the columns whose numbers are names."""
        return {name: tuple(words.values()) for name, words in WORDS_OF.items()}

    def input_names(self) -> tuple[str, ...]:
        """In words."""
        return INPUTS

    def new_cases(self, new: NewFile, learned: Learned) -> Iterator[NewCase]:
        """Rows in the columns of the four files, without a header; the diagnosis may be left out, or be a ?."""
        if self.scaling == "hospital":
            raise SourceError("cannot be brought to the scale that was learned: each hospital scaled by its own rows")
        rows, names, quarantined = _read(new.paths[0], new.name, diagnosed=False)
        yield NewCase(new.name, self._inputs(rows), tuple(names), left_out=quarantined)

    def _path(self, site: SiteId) -> Path:
        return needed(existing(self.folder, "heart", REMEDY) / f"processed.{site}.data", REMEDY)

    def _kept(self, rows: NDArray[np.float64]) -> dict[str, Any]:
        return {name: KEPT[name](rows) for name in self.keep}

    def _inputs(self, rows: NDArray[np.float64]) -> NDArray[np.float32]:
        features = _features(rows)
        if self.scaling == "reference":
            features[:, : len(NUMERIC)] = (features[:, : len(NUMERIC)] - REFERENCE) / REFERENCE_SPREAD
        return features.astype(np.float32)

    def scaled(self, cases: Cases) -> Cases:
        """By means and deviations of these patients, where `scaling` says so."""
        if self.scaling != "hospital":
            return cases
        return cases.with_columns(inputs=_standardised(cases.inputs.astype(np.float64)).astype(np.float32))

    def _given(self, site: SiteId, names: list[str]) -> dict[str, Any]:
        """Columns of `Cases` for the split that is prescribed, if any."""
        if self.given_split == "none":
            return {}
        of_test = [name.removeprefix(f"{site}-") in TEST_ROWS[site] for name in names]
        return {"given_split": np.where(of_test, "test", "train"), "prescribed": ("test",)}


def _hospital(site: SiteId | None) -> SiteId:
    if site not in HOSPITALS:
        raise unknown("hospital", str(site), HOSPITALS)
    return site


def _in_words(values: NDArray[np.float64], words: Mapping[int, str]) -> NDArray[np.str_]:
    """ "" for a number that is no name of the column's."""
    return np.array([words.get(value, "") for value in values.tolist()], dtype=np.str_)


def _read(
    path: Path, site: str, diagnosed: bool = True, raw: bool = False
) -> tuple[NDArray[np.float64], list[str], tuple[Quarantined, ...]]:
    """Rows, names and what is left out. raw: with the columns that are not learned from, NaN where missing."""
    rows: list[list[float]] = []
    names: list[str] = []
    quarantined: list[Quarantined] = []
    alike: Counter[str] = Counter()
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        row = [text.strip() for text in line.strip().split(",")]
        if not diagnosed:
            row = [*row[:DIAGNOSIS], *["0"] * (len(row) >= DIAGNOSIS), *row[DIAGNOSIS + 1 :]]
        try:
            checked = _numbers(row)
            rows.append([_number(text) for text in row] if raw else checked)
        except ValueError as error:
            quarantined.append(Quarantined(f"{site}-{number:03d}", str(error)))
            continue
        digest = _digest(row)
        alike[digest] += 1
        names.append(f"{site}-{digest}" if alike[digest] == 1 else f"{site}-{digest}-{alike[digest]}")
    if not rows:
        gathered(
            quarantined, f"{path} holds no usable patient: rows of {COLUMNS} numbers, ? for missing, are needed."
        )
    return np.array(rows), names, tuple(quarantined)


def _text(path: Path) -> str:
    """As an editor may have saved it: a byte-order mark is no part of the first patient."""
    try:
        return decoded(read_all(path, LARGEST_TABLE_BYTES), path.name)
    except FileError as error:
        raise SourceError(str(error)) from error


def _digest(row: list[str]) -> str:
    """Of the row's numbers, however they are written."""
    text = ",".join(each if each == "?" else f"{_number(each):g}" for each in row)
    return sha256(text.encode()).hexdigest()[:DIGITS_OF_NAME]


def _number(text: str) -> float:
    """NaN for what is none, in a column that is not used."""
    try:
        return float(text)
    except ValueError:
        return math.nan


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


source: type[Source] = Heart

"""A package that is not installed: named with its extra, where a study is checked."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from client.sources._table_parquet import read_parquet
from common.errors import StudyError
from common.extras import EXTRAS, needed_by
from common.registration.choices import OPTIMISERS
from common.study.catalogue import AGGREGATIONS, SOURCES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
USERS: dict[str, tuple[str, Callable[[], object]]] = {
    "aggregation 'ckks' needs TenSEAL: pip install 'wardround[encrypted]'": (
        "tenseal",
        lambda: AGGREGATIONS.load("ckks"),
    ),
    "aggregation 'bfv' needs TenSEAL: pip install 'wardround[encrypted]'": (
        "tenseal",
        lambda: AGGREGATIONS.load("bfv"),
    ),
    "source 'dicom' needs pydicom: pip install 'wardround[dicom]'": ("pydicom", lambda: SOURCES.load("dicom")),
    "a Parquet table needs PyArrow: pip install 'wardround[parquet]'": (
        "pyarrow",
        lambda: read_parquet(BytesIO(), "patients.parquet"),
    ),
    "optimiser 'bayesian' needs scikit-learn: pip install 'wardround[registration]'": (
        "sklearn",
        OPTIMISERS["bayesian"],
    ),
}
OURS = ("common.sums.aggregations.", "client.sources.", "common.registration.bayesian")


def hide(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it is not installed; what has imported it is forgotten until the test is over."""
    for name in [one for one in sys.modules if one.startswith((f"{module}.", *OURS))]:
        package, _, leaf = name.rpartition(".")
        if package in sys.modules and hasattr(sys.modules[package], leaf):
            monkeypatch.setattr(sys.modules[package], leaf, sys.modules[name])  # undone, it is this one again
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize("words", USERS)
def test_what_is_not_installed_is_named_with_its_extra(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, use = USERS[words]
    hide(module, monkeypatch)
    with pytest.raises(StudyError) as caught:
        use()
    assert str(caught.value) == f"{words}."


def test_entries_that_need_no_extra_load_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in EXTRAS:
        hide(module, monkeypatch)
    for catalogue, needy in ((AGGREGATIONS, {"ckks", "bfv"}), (SOURCES, {"dicom", "dicomweb"})):
        for name in set(catalogue.names()) - needy:
            catalogue.load(name)


def test_a_defect_of_ours_stays_a_traceback() -> None:
    with pytest.raises(ModuleNotFoundError), needed_by("a study"):
        importlib.import_module("common.no_such_module")


def test_every_extra_that_is_named_exists() -> None:
    extras = PROJECT["optional-dependencies"]
    assert {extra for _, extra in EXTRAS.values()} <= extras.keys()

"""Plug-ins by module, file and entry point: found, fitted to their role, and refused in words that help."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from common.errors import StudyError, UnknownNameError
from common.study import catalogue, plugins
from common.study.catalogue import AGGREGATIONS, NETWORKS, SOURCES, STRATEGIES, TASKS
from common.study.options import Entry
from common.study.plugins import ANYTHING, Reference, resolved, trusting
from common.study.study import parse, parse_json

NETWORK = """
from dataclasses import dataclass
from torch import nn
from helper_beside import depth

@dataclass(frozen=True)
class Linear:
    width: int = 4
    def build(self, shape):
        return nn.Linear(3, self.width * depth())

network = Linear
"""
STUDY = """
title = "Test"
rounds = 2
source = "heart"
task = { name = "classification", network = { name = "own.py:Linear", width = 7 } }
strategy = "fedavg"
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "own.py").write_text(NETWORK)
    (tmp_path / "helper_beside.py").write_text("def depth(): return 2\n")
    package = tmp_path / "wardround_tried"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text(NETWORK.replace("from helper_beside import depth", "depth = lambda: 1"))
    monkeypatch.syspath_prepend(str(tmp_path))
    with trusting(ANYTHING):
        yield tmp_path
    for name in [name for name in sys.modules if name.startswith(("wardround_tried", "helper_beside"))]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["{place}/own.py", "{place}/own.py:Linear", "wardround_tried.nets"])
def test_a_file_or_module_is_an_entry_like_one_of_ours(place: Path, name: str) -> None:
    """A file may import others beside it."""
    built = NETWORKS.build(Entry(name.format(place=place), {"width": 9}))
    assert built.width == 9 and built.build(None).out_features in (9, 18)
    assert NETWORKS.options(name.format(place=place)) == ("width",)
    with pytest.raises(UnknownNameError, match="did you mean 'width'"):
        NETWORKS.build(Entry(name.format(place=place), {"widht": 9}))


def test_an_entry_point_is_found_by_its_name_and_ours_stay_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "wardround.networks"
    points = [EntryPoint(name, "wardround_tried.nets:Linear", group) for name in ("tried", "mlp")]
    monkeypatch.setattr(catalogue, "entry_points", lambda group: points if group == "wardround.networks" else [])
    assert NETWORKS.plugged() == {"tried": "wardround_tried.nets:Linear"}
    assert "wardround_tried" not in sys.modules
    assert NETWORKS.load("tried").__module__ == "wardround_tried.nets"
    assert NETWORKS.load("mlp").__module__ == "common.learning.networks.mlp"
    with pytest.raises(UnknownNameError, match="did you mean 'tried'"):
        NETWORKS.load("treid")
    assert STRATEGIES.plural == "strategies"


def test_the_digest_is_of_the_file_and_of_those_beside_it_that_it_imports(place: Path) -> None:
    own, helper = (sha256((place / name).read_bytes()).hexdigest() for name in ("own.py", "helper_beside.py"))
    whole = sha256(f"{own}\n{helper} helper_beside.py\n".encode()).hexdigest()
    assert NETWORKS.digest(f"{place}/own.py:Linear") == whole
    assert NETWORKS.digest("mlp") is None
    assert (
        NETWORKS.digest("wardround_tried.nets")
        == sha256((place / "wardround_tried/nets.py").read_bytes()).hexdigest()
    )
    assert "wardround_tried.nets" not in sys.modules


def test_a_change_of_a_file_beside_it_is_a_change_of_the_plug_in_and_is_run(place: Path) -> None:
    name = f"{place}/own.py:Linear"
    before = NETWORKS.digest(name)
    assert NETWORKS.build(Entry(name)).build(None).out_features == 8
    (place / "helper_beside.py").write_text("def depth(): return 3\n")
    assert NETWORKS.digest(name) != before
    assert NETWORKS.build(Entry(name)).build(None).out_features == 12


def test_two_plug_ins_may_each_have_a_file_of_one_name_beside_them(place: Path) -> None:
    for folder, depth in (("a", 5), ("b", 7)):
        (place / folder).mkdir()
        (place / folder / "own.py").write_text(NETWORK.replace("helper_beside", "helper_beside_each"))
        (place / folder / "helper_beside_each.py").write_text(f"def depth(): return {depth}\n")
    built = [NETWORKS.build(Entry(f"{place}/{folder}/own.py")).build(None).out_features for folder in "aba"]
    assert built == [20, 28, 20]


def test_the_digest_of_a_module_covers_its_own_package_and_nothing_else(place: Path) -> None:
    """Also relative imports, from file to file, and packages that are imported before it; never torch."""
    package = place / "wardround_tried_whole"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("from torch import nn\n")
    (package / "inner" / "__init__.py").write_text("")
    (package / "inner" / "nets.py").write_text("from ..deep import depth\nimport json, client.policy\n")
    (package / "deep.py").write_text("import wardround_tried_whole.deeper as deeper\n")
    (package / "deeper.py").write_text("depth = 1\n")
    (package / "unused.py").write_text("")
    found = Reference("wardround_tried_whole.inner.nets", "", False).files()
    whole = {f"wardround_tried_whole/{name}.py" for name in ("__init__", "deep", "deeper")}
    assert set(found.beside) == whole
    before = found.digest
    (package / "deeper.py").write_text("depth = 2\n")
    with pytest.raises(StudyError, match="has changed since this process imported it"):
        Reference("wardround_tried_whole.inner.nets", "", False).digest()
    plugins._digests.clear()
    assert Reference("wardround_tried_whole.inner.nets", "", False).digest() != before


def test_a_module_of_one_word_ends_with_a_colon(place: Path) -> None:
    assert Reference.of("own:") == Reference("own", "", False)
    assert NETWORKS.load("own:").__name__ == "Linear"
    sys.modules.pop("own")


def test_a_study_carries_absolute_paths_and_digests(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = parse(STUDY, beside=place)
    assert study.task.options["network"]["name"] == f"{place}/own.py:Linear"
    assert study.plugins == {f"{place}/own.py": NETWORKS.digest(f"{place}/own.py")}
    monkeypatch.chdir("/")
    assert parse_json(study.json) == study == parse(study.text)
    assert '"plugins"' not in parse(STUDY, ["task.network=mlp"]).json


def test_paths_begin_at_the_studys_folder_and_else_where_we_are(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "inner").mkdir()
    (place / "inner" / "own.py").write_text("")
    monkeypatch.chdir(place)
    assert resolved("own.py:A", place / "inner") == f"{place}/inner/own.py:A"
    assert resolved("./own.py", place / "wardround_tried") == f"{place}/own.py"
    assert resolved("absent.py", place / "inner") == f"{place}/inner/absent.py"
    for plain in ("mlp", "wardround_tried.nets:A", "*.py", "a sentence."):
        assert resolved(plain, place) == plain
    assert Reference.of("mlp") is None and Reference.of("os:system.more") is None


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        (None, "x.py", "No such file or directory"),
        (None, "wardround_tried.absent:A", "there is no module 'wardround_tried.absent' here: install it"),
        (None, "sys:A", "has no file of its own"),
        ("1 / 0", "x.py:A", "cannot be imported: ZeroDivisionError: division by zero, line 1 of"),
        ("import not_there", "x.py:A", "ModuleNotFoundError: No module named 'not_there'"),
        ("x = (", "x.py:A", "SyntaxError"),
        ("raise SystemExit(3)", "x.py:A", "SystemExit: 3"),
        (
            "class Linear: pass",
            "x.py",
            "name a class of it, '{place}/x.py:Linear', or end it with `network = Linear`",
        ),
        ("class Linear: pass", "x.py:Liner", "did you mean 'Linear'?"),
        (
            "class Linear: pass",
            "x.py:Linear",
            "lacks build. Add `def build(self, shape: Shape) -> nn.Module`. `wardround new network NAME` writes",
        ),
        ("class Linear:\n def build(self, shape): pass", "x.py:Linear", "write @dataclass(frozen=True) above"),
        (
            "from dataclasses import dataclass\n@dataclass\nclass Linear:\n def build(self, shape): pass",
            "x.py:Linear",
            "is a dataclass that can be changed: write @dataclass(frozen=True)",
        ),
        (
            "from common.learning.networks.mlp import Mlp\nclass Linear(Mlp):\n wide: bool = True",
            "x.py:Linear",
            "names wide, which are no options of it yet",
        ),
        (
            "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Linear:\n def build(self): pass",
            "x.py:Linear",
            "build takes (self): write `def build(self, shape: Shape) -> nn.Module`",
        ),
        (
            "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Linear:\n build: int = 3",
            "x.py:Linear",
            "build is no method, but int",
        ),
        ("network = 3", "x.py", "is no class, but int"),
    ],
)
def test_what_cannot_be_an_entry_is_refused_with_what_to_do(
    place: Path, code: str | None, name: str, words: str
) -> None:
    if code is not None:
        (place / "x.py").write_text(code)
    with pytest.raises(StudyError) as caught:
        NETWORKS.load(f"{place}/{name}" if ".py" in name else name)
    assert words.format(place=place) in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [
        (TASKS, "augment, build_network, headline, loss, predict, score"),
        (SOURCES, "cases, has_sites, sites"),
        (STRATEGIES, "broadcast, init, needs, sends, step, work"),
        (AGGREGATIONS, "answer, check, collect, protect, reveals"),
    ],
)
def test_every_member_that_is_missing_is_named(place: Path, kind: Any, lacking: str) -> None:
    (place / "x.py").write_text("class Empty: pass")
    with pytest.raises(StudyError, match=f"lacks {lacking}"):
        kind.load(f"{place}/x.py:Empty")


def test_a_name_of_ours_misspelt_still_gives_the_nearest_word() -> None:
    with pytest.raises(UnknownNameError, match="No source 'hart'; did you mean 'heart'"):
        SOURCES.load("hart")

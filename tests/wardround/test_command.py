"""`wardround test FILE`: which law broke, what it is for, how to mend it; and what is no file to be tested."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.cli import cli
from experiments.commands import inherited
from tests.ended import ended
from wardround.testing.__main__ import main, tried
from wardround.testing.of_file import KINDS

NETWORK = """
from dataclasses import dataclass
from torch import nn

@dataclass(frozen=True)
class Mine:
    width: int

    def build(self, shape):
        first, last = nn.Linear(*shape.inputs, self.width), nn.Linear(self.width, shape.classes)
        return nn.Sequential(first, nn.{norm}(self.width), last)

test_options = {{"network": {{"width": 4}}}}
network = Mine
"""
SOURCE = """
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from common.data import Cases
from common.errors import SourceError
from common.seeding import generator


@dataclass(frozen=True)
class Lines:
    folder: str
    has_sites: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple] = ()
    persons: ClassVar[str] = "A person is a line."

    def sites(self):
        if not Path(self.folder).is_dir():
            raise SourceError(f"There is no folder {self.folder}: set source.folder.")
        return tuple(sorted(path.stem for path in Path(self.folder).glob("*.txt")))

    def cases(self, site, seed):
        lines = [line.split() for line in (Path(self.folder) / f"{site}.txt").read_text().splitlines()]
        values = np.array([[float(word) for word in words[1:3]] for words in lines], np.float32)
        return Cases.of(values {centred}, [int(words[3]) for words in lines], [w[0] for w in lines], ("no", "yes"))


def make(folder):
    for site in "ab":
        lines = [f"{site}{number} {number}.5 {number % 3} {number % 2}" for number in range(8)]
        (folder / f"{site}.txt").write_text("\\n".join(lines))
    return {"folder": str(folder)}


def another_value(folder):
    path = folder / "a.txt"
    path.write_text(path.read_text().replace("a2 2.5", "a2 99"))


changes = (another_value,)
source = Lines
"""
TASK = """
from dataclasses import dataclass
from typing import ClassVar

from common.data import Cases
from common.learning.tasks.regression import Regression
import numpy as np


@dataclass(frozen=True)
class Doses(Regression):
    headline: ClassVar[str] = Regression.headline

    def score(self, network, batch):
        if len(batch.inputs[0]) != 7:
            raise ValueError("seven numbers a case")
        return super().score(network, batch)

def cases():
    inputs = np.random.default_rng(0).normal(size=(12, 7)).astype(np.float32)
    return Cases.of(inputs, 3 * inputs[:, 0], [f"p{index % 6}" for index in range(12)])

test_options = {"task": {"network": {"name": "mlp", "hidden": [16]}, "center": 0, "spread": 3}}
task = Doses
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_that_keeps_every_law_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([written(tmp_path, NETWORK.format(norm="LayerNorm"))]) == 0
    said = capsys.readouterr().out
    assert "kept       It learns with all its parameters" in said
    assert said.endswith("Of 6 laws 6 kept, 0 broken, 0 not tried.\n")


def test_a_law_that_is_broken_is_told_with_its_reason_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([written(tmp_path, NETWORK.format(norm="BatchNorm1d"))]) == 1
    lines = capsys.readouterr().out.splitlines()
    broken = lines.index("  BROKEN     It can be exchanged")
    assert "StudyError: 1 is a BatchNorm1d" in lines[broken + 1]
    assert "Why it matters: Its parameters travel as float32" in lines[broken + 2]
    assert any("How to mend it: GroupNorm instead of batch normalisation" in line for line in lines[broken:])


@pytest.mark.parametrize(("centred", "broken"), [("", 0), ("- values.mean(0)", 1)])
def test_what_a_source_computes_from_several_persons_and_does_not_declare_is_found(
    tmp_path: Path, centred: str, broken: int
) -> None:
    verdicts = tried(written(tmp_path, SOURCE.replace("{centred}", centred)))
    found = [one for one in verdicts if one.outcome == "BROKEN"]
    assert len(found) == broken
    assert all(one.law == "One person changes no other persons cases nor place" for one in found)
    assert [one.law for one in verdicts if one.outcome == "not tried"] == [
        "A broken case is quarantined with a reason and the others stay"
    ]


def test_a_task_may_bring_its_own_cases_and_says_so_where_it_needs_them(tmp_path: Path) -> None:
    found = tried(written(tmp_path, TASK))
    assert {one.outcome for one in found} == {"kept", "not tried"}
    assert all("does not" in one.said for one in found if one.outcome == "not tried")
    verdicts = tried(written(tmp_path, TASK.replace("def cases", "def other")))
    assert any("ValueError: ['seven numbers a case']" in one.said for one in verdicts)
    assert all("write `cases()`" in one.said for one in verdicts if one.outcome == "BROKEN")


def test_an_error_is_told_with_its_line_in_the_file(tmp_path: Path) -> None:
    text = NETWORK.format(norm="LayerNorm").replace("return nn", "print(1 / 0); return nn")
    verdicts = tried(written(tmp_path, text + "from common.data import Shape\nshape = Shape((3,), 2)\n"))
    assert any(one.said == "ZeroDivisionError: division by zero (line 11 of mine.py)" for one in verdicts)


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("", [], "binds none of task, network"),
        ("x = 1 +", [], "cannot be imported: SyntaxError"),
        ("network = 3", [], "network"),
        ("import os\n", ["--kind", "netwrok"], "did you mean 'network'"),
        ("import os\n", ["--kind", "task"], "binds no 'task'"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_a_line(
    text: str, arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([written(tmp_path, text), *arguments]) == 1
    said = capsys.readouterr().err
    assert words in said and said.startswith("Study: ") and said.count("\n") == 1


@pytest.mark.skipif("loss" not in KINDS, reason="a loss is no kind of its own here")
def test_a_plain_function_is_a_loss(tmp_path: Path) -> None:
    text = "from torch.nn.functional import cross_entropy\n\n\ndef plain(logits, targets):\n"
    text += "    return cross_entropy(logits, targets, reduction='none')\n\n\nloss = plain\n"
    assert {one.outcome for one in tried(written(tmp_path, text))} == {"kept"}
    verdicts = tried(written(tmp_path, text.replace("none", "mean")))
    assert "It is one number a case" in [one.law for one in verdicts if one.outcome == "BROKEN"]


def test_a_file_that_is_not_there_and_a_word_that_is_no_file_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert [main(["absent.py"]), main(["fedavg"]), main(["absent.py:Mine"])] == [1, 1, 1]
    said = capsys.readouterr().err
    assert "there is no file" in said and "'fedavg' is no Python file" in said and "say with --kind" in said


def test_the_command_hands_the_result_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(cli, ["test", written(tmp_path, NETWORK.format(norm="BatchNorm1d"))])
    assert result.exit_code == 1
    assert "BROKEN     It can be exchanged" in capfd.readouterr().out


def test_without_pytest_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inherited, "find_spec", lambda name: None)
    result = CliRunner().invoke(cli, ["test", "mine.py"])
    assert result.exit_code == 1
    assert "pip install 'wardround[testing]'" in " ".join(result.output.split())


def test_nothing_of_ours_imports_pytest_before_tests_are_asked_for() -> None:
    code = "import sys, wardround, experiments.cli; assert 'pytest' not in sys.modules"
    ended([sys.executable, "-c", code], check=True)

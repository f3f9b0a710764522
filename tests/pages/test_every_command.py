"""Every command of every page is typed as it stands there, and does what its page shows; or a list says why not.

The quick ones by default, in this process; WARDROUND_DRILLS=1 types the others too. Files of a page are laid down as
it has them, hospitals' data and runs are stand-ins as small as can be, and what makes a study short is added behind.
"""

from __future__ import annotations

import re
import shutil
from contextlib import chdir
from itertools import groupby
from pathlib import Path

import pytest

from tests.pages.fates import COSTLY, DRILLS, ELSEWHERE, NEVER, fate_of, is_costly
from tests.pages.page_commands import PAGES, ROOT, Typed, commands_of, of_block
from tests.pages.play import filled, loose, play, wrong
from tests.pages.stages import STAGES, Stage
from tests.pages.stand_ins import lay_desk

pytestmark = pytest.mark.usefixtures("hospitals_read_for_themselves")
ALL = [command for page in PAGES for command in commands_of(page)]
FIRST_TYPED = {command.words: command for command in sorted(ALL, key=lambda one: bool(one.shown), reverse=True)[::-1]}
"""On which page a command is typed by default: the first that shows what it says, else the first."""


def is_typed(command: Typed) -> bool:
    if fate_of(command) is not None:
        return False
    return DRILLS or (not is_costly(command) and FIRST_TYPED[command.words] is command)


TYPED = {page: [*commands] for page, commands in groupby(filter(is_typed, ALL), lambda one: one.page)}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("desk")
    with chdir(place):
        lay_desk(place)
    return place


@pytest.mark.parametrize("page", TYPED)
def test_every_command_of_a_page_does_what_the_page_says(
    page: str, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDROUND_DATA", "data")
    place = shutil.copytree(desk, tmp_path / "played")
    done = [(str(command), wrong) for command, _, wrong in play(TYPED[page], STAGES.get(page, Stage()), place)]
    assert not [one for one in done if one[1]]


def test_what_is_not_typed_is_listed_and_nothing_is_listed_that_no_page_has() -> None:
    programs = {command.words.split()[0] for command in ALL if fate_of(command) is None}
    assert programs <= {"wardround", "cat"}, "neither typed nor listed"
    said = [str(command) for command in ALL]
    patterns = [*(fate.pattern for fate in (*ELSEWHERE, *NEVER)), *COSTLY]
    assert not [pattern for pattern in patterns if not any(re.search(pattern, one) for one in said)]
    assert {command.page for command in ALL if fate_of(command) is None} >= STAGES.keys()


def test_a_test_that_types_a_command_in_another_place_is_there() -> None:
    assert not [fate.test for fate in ELSEWHERE if not (ROOT / "tests" / fate.test).is_file()]
    assert all(fate.why for fate in (*ELSEWHERE, *NEVER))


def test_commands_are_found_in_blocks_of_a_terminal_and_in_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    monkeypatch.setattr("tests.pages.page_commands.ROOT", tmp_path)
    assert commands_of(page) == [
        Typed("page.md", 4, "wardround list tasks", "one\n\ntwo"),
        Typed("page.md", 8, "wardround version"),
        Typed("page.md", 14, "make demo"),
        Typed("page.md", 16, "wardround describe policy"),
        Typed("page.md", 16, "pip install 'wardround[onnx]'"),
    ]


PAGE = """# A page

```
$ wardround list tasks    # a remark
one

two
hospital$ wardround version
```
```toml
wardround = "no command"
```

    make demo     # indented

Say `wardround describe policy`, not `wardround check`, which needs a study; `pip install
'wardround[onnx]'`, or `wardround list A|B`.
"""


def test_an_answer_is_held_against_the_page_but_for_numbers_places_and_gaps() -> None:
    shown = "Dice 0.279 of 5\n...\nReport: /home/you/runs/1/report.html\nNetwork fits, ..."
    said = "Dice 0.311 of 7\nround 2\nReport: /tmp/x/report.html\nNetwork fits, and more"
    assert wrong(shown, 0, said) == ""
    assert "did not say 'Dice 0 of 0'" in wrong(shown, 0, said.replace("of 7", "on 7"))
    assert "Report" in wrong(shown, 0, "Report: /x\nDice 1 of 2\nNetwork fits,")
    assert wrong("UnknownName: No 'x'; ...", 1, "UnknownName: No 'x'; did you mean 'y'?") == ""
    assert "exited with 0" in wrong("UnknownName: No 'x'", 0, "UnknownName: No 'x'")
    assert "exited with 3" in wrong("", 3, "lost")
    assert loose("2026-11-26T19-38-21, 4.9 MB") == "0 0 MB"


def test_gaps_are_filled_by_the_first_that_fits() -> None:
    gaps = (("wardround log verify$", "F", "whole"), ("wardround log", "F", "G"), ("", "RUN", "r"), ("", "F", "H"))
    assert filled("wardround log verify --folder F", gaps, {}) == "wardround log verify --folder G"
    assert (
        filled("wardround audit RUN F RUNS", gaps, {"wardround audit": "--seconds 1"})
        == "wardround audit r H RUNS --seconds 1"
    )


def test_a_line_below_a_command_is_what_it_says() -> None:
    assert [one.shown for one in of_block("p", 1, "$ cat a\nx = 1\n\n$ wardround version\n")] == ["x = 1", ""]

"""Short studies and few hospitals: what a researcher need not write, and what real hospitals still must."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from common.study.study import parse
from experiments.running.few_hospitals import with_readable_updates

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def short(tiny_images: Path, tmp_path: Path) -> Callable[[int], str]:
    """A study of six lines, of so many hospitals."""

    def write(hospitals: int) -> str:
        file = tmp_path / "short.toml"
        file.write_text(
            f'title = "Short"\nrounds = 1\nengine = "inline"\ntask = "classification"\n'
            f'source = {{ name = "medmnist", folder = "{tiny_images}", classes = ["left", "right"] }}\n'
            f'partition = {{ name = "iid", hospitals = {hospitals} }}\n'
        )
        return str(file)

    return write


def test_two_hospitals_run_in_simulation_and_screen_record_and_report_say_how(
    wardround: Command, short: Callable[[int], str], tmp_path: Path
) -> None:
    code, said = wardround("run", short(2), "--folder", str(tmp_path / "run"))
    assert code == 0, said
    assert said.startswith("2 hospitals are too few for a sum that hides anybody")
    assert '[aggregation]\nname = "plain"' in (tmp_path / "run" / "study.toml").read_text()
    about = json.loads((tmp_path / "run" / "about.json").read_text())
    sentence = "A sum of so few would hide nobody: with 3 hospitals aggregation = 'secagg' would."
    assert sentence in about["trusts"][0]
    assert "A sum of so few would hide nobody" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(("hospitals", "aggregation"), [(1, "plain"), (2, "plain"), (3, "secagg")])
def test_only_fewer_than_three_hospitals_have_single_updates_read(
    wardround: Command, short: Callable[[int], str], hospitals: int, aggregation: str
) -> None:
    code, said = wardround("check", short(hospitals))
    assert code == 0, said
    assert f'[aggregation]\nname = "{aggregation}"' in said
    assert ("too few for a sum" in said) == (aggregation == "plain")


def test_a_sum_that_is_named_for_two_hospitals_is_refused_with_both_remedies(
    wardround: Command, short: Callable[[int], str]
) -> None:
    code, said = wardround("check", short(2), "--set", "aggregation=secagg")
    assert code == 1
    assert 'Add hospitals, 3 or more in all, or write aggregation = "plain"' in said.replace("\n", " ")


def test_real_hospitals_must_write_it_out() -> None:
    keys = [f'{{ name = "{name}", key = "{name * 64}" }}' for name in "ab"]
    study = parse(
        'title = "Real"\nsource = { name = "npz", classes = ["no", "yes"] }\ntask = "classification"\n'
        f"[federation]\nroster = [{', '.join(keys)}]\n"
    )
    assert with_readable_updates(study, {"title", "source", "task"}) == (study, "")


def test_a_missing_key_is_answered_with_an_example(wardround: Command, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('title = "T"\nsource = "phantom"\n')
    code, said = wardround("check", str(file))
    assert (code, said) == (
        1,
        'Study: study.task is missing: a table of options is needed, such as task = "segmentation"\n',
    )


def test_a_file_that_is_not_there_is_answered_with_what_is(wardround: Command, tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text("")
    assert "did you mean" in wardround("check", str(tmp_path / "frist.toml"))[1]
    assert "is a folder; name a study's file. In" in wardround("check", str(tmp_path))[1].replace("\n", " ")
    assert "the shipped study is named without an ending: demo" in wardround("check", "demo.toml")[1]

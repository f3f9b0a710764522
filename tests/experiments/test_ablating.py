"""Ablation: what is left out is gone and nothing else is; a planted column is missed; nothing is run twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.hospital import open_hospital, site_names
from common.errors import FileError, StudyError, UnknownNameError
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study, parse
from experiments.ablating.command import cost
from experiments.ablating.conduct import Ablation, study_of_run
from experiments.ablating.figures import FIGURES, Figures, read_figures, write_figures
from experiments.ablating.losses import Loss, Row, summed
from experiments.ablating.page import finding_of, page_of
from experiments.ablating.variants import Variant, Wanted, place_words, refuse_unfit, seeded, variants_of, without

ROWS = '''
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from common.data import Cases
from common.seeding import generator

@dataclass(frozen=True)
class Rows:
    """No options."""
    has_sites: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple] = ()
    persons: ClassVar[str] = "A person is a row."

    def sites(self):
        return ("north", "south", "west")

    def input_names(self):
        return ("used", "idle", "copy")

    def cases(self, site, seed):
        rng = generator(seed, site)
        x = rng.standard_normal((80, 3)).astype("float32")
        y = (x[:, 0] + 0.3 * rng.standard_normal(80) > 0).astype("int64")
        return Cases.of(x, y, [f"{site}{i:02}" for i in range(80)], classes=("no", "yes"))

source = Rows
'''
STUDY = """
title = "Rows"
rounds = 3
engine = "inline"
aggregation = "plain"
source = { name = "ablated_rows.py" }
task = { name = "classification", network = "logistic" }
training = { learning_rate = 0.5, batch_size = "full" }
"""


@pytest.fixture(autouse=True)
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ablated_rows.py").write_text(ROWS)
    (tmp_path / "study.toml").write_text(STUDY)
    with trusting(ANYTHING):
        yield


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return parse(STUDY, beside=tmp_path)


def opened(study: Study) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Inputs and persons of each hospital's training cases."""
    hospitals = [open_hospital(study.json, index) for index in range(len(site_names(study)))]
    return {one.site: (np.asarray(one.train.inputs), list(map(str, one.train.patients))) for one in hospitals}


def test_a_hospital_that_is_left_out_is_gone_and_the_others_have_what_they_had(study: Study) -> None:
    whole = opened(study)
    left = opened(without(study, Variant("hospitals", "south", {"hospitals": ["south"]})))
    assert left.keys() == {"north", "west"}
    for site, (inputs, persons) in left.items():
        assert np.array_equal(inputs, whole[site][0]) and persons == whole[site][1]


def test_a_column_that_is_left_out_is_zero_for_everybody_in_the_same_split(study: Study) -> None:
    whole, left = opened(study), opened(without(study, Variant("features", "idle", {"columns": [1]})))
    for site, (inputs, persons) in left.items():
        assert persons == whole[site][1] and not inputs[:, 1].any()
        assert np.array_equal(inputs[:, [0, 2]], whole[site][0][:, [0, 2]])


def test_a_region_is_left_out_of_images_that_a_partition_divides_as_before(tiny: Callable[..., Study]) -> None:
    study = tiny("rounds=1")
    found = variants_of(study, Wanted(("regions",), grid=2))
    sides = open_hospital(study.json, 0).train.shape.inputs[1:]
    assert len(found) == 4 and found[0].options["region"] == [0, sides[0] // 2, 0, sides[1] // 2]
    whole, left = opened(study), opened(without(study, found[0]))
    assert left.keys() == whole.keys()
    for site, (inputs, persons) in left.items():
        kept = whole[site][0].copy()
        kept[:, :, : sides[0] // 2, : sides[1] // 2] = 0
        assert persons == whole[site][1] and np.array_equal(inputs, kept)


def test_each_thing_is_left_out_once_and_groups_beside_their_columns(study: Study) -> None:
    found = variants_of(study, Wanted(("features", "hospitals"), {"spare": ("copy", "idle")}))
    assert [one.name for one in found] == ["used", "idle", "copy", "spare", "north", "south", "west"]
    assert found[3].options == {"columns": [1, 2]}
    assert place_words((0, 2), 3) == "top right" and place_words((1, 0, 2), 3) == "block 2, 1, 3"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (lambda: Wanted(("regions",)), "for tables leave out features"),
        (lambda: Wanted(("features",), {"spare": ("cpoy",)}), "did you mean 'copy'"),
        (lambda: Wanted(("hospital",)), "hospitals"),  # type: ignore[arg-type]
        (lambda: Wanted(()), "say what is left out"),
        (lambda: Wanted(("hospitals",), {"spare": ("copy",)}), "groups are of a table's columns"),
        (lambda: Wanted(("regions",), grid=1), "2 to 16 blocks"),
    ],
)
def test_what_cannot_be_left_out_is_refused(study: Study, wanted: Callable[[], Wanted], words: str) -> None:
    with pytest.raises((StudyError, UnknownNameError), match=words):
        variants_of(study, wanted())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("federation.withhold_test=true", "withholds its test cases"),
        ("engine='deployment'", "in simulation"),
    ],
)
def test_a_study_that_cannot_be_compared_with_itself_is_refused(tmp_path: Path, changes: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        refuse_unfit(parse(STUDY, [changes], beside=tmp_path))


def test_a_planted_column_is_missed_and_an_idle_one_is_not_and_nothing_is_run_twice(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [Variant("features", "used", {"columns": [0]}), Variant("features", "idle", {"columns": [1]})]
    several += [Variant("hospitals", "west", {"hospitals": ["west"]}), Variant("features", "none", {"columns": [9]})]
    ablation = Ablation(study, "rows", several, [study.seed], tmp_path / "out")
    assert "5 runs: the whole study and 4 without something. To be trained: 5" in cost(ablation)
    told: list[tuple[str, int, int]] = []
    found = Figures.of(ablation.conducted(lambda *said: told.append(said)))
    used, idle, west, none = found.variants
    assert used.sure == 1 and used.lost is not None and used.lost > 0.2
    assert idle.sure == 0 and idle.lost is not None and abs(idle.lost) < 0.1
    assert west.own is not None and west.others is not None
    assert none.lost is None and "0 of 3 hospitals are ready" in none.failed
    assert [done for _, done, _ in told] == [0, 1, 2, 3, 4] and told[-1][2] == 5
    assert finding_of(found).startswith("Without these the accuracy is surely worse: used (−0.")

    monkeypatch.setattr("experiments.ablating.conduct.run_quietly", None)
    several.pop()
    again = Ablation(study, "rows", several, [study.seed], tmp_path / "out")
    assert again.missing() == 0 and "all are there already" in cost(again)
    assert Figures.of(again.conducted(lambda *_: None)).variants == found.variants[:3]
    of_run = Ablation(
        study, "rows", [], [study.seed], tmp_path / "else", tmp_path / "out" / f"seed-{study.seed}" / "whole"
    )
    assert of_run.missing() == 0 and of_run.conducted(lambda *_: None).before == found.before


def rows(*losses: Loss | None) -> list[Row]:
    return [Row("features", "age", seed, "", 1.0, 0.9, 0.8, loss) for seed, loss in enumerate(losses)]


def test_a_loss_is_sure_where_every_seeds_interval_is_on_one_side() -> None:
    (one,) = summed(rows(Loss(0.1, 0.02, 0.2, 30), Loss(0.3, 0.1, 0.6, 30)))
    assert (one.seeds, one.sure) == (2, 1)
    assert [one.lost, one.low, one.high] == pytest.approx([0.2, 0.06, 0.4])
    assert one.deviation == pytest.approx(0.02**0.5)
    assert summed(rows(Loss(0.1, 0.02, 0.2, 30), Loss(0.3, -0.1, 0.6, 30)))[0].sure == 0
    assert summed(rows(Loss(-0.1, -0.2, -0.02, 30)))[0].sure == -1
    unknown = summed(rows(Loss(0.1, 0.02, 0.2, 30), Loss(0.0, None, None, 30)))[0]
    assert unknown.lost == pytest.approx(0.05) and (unknown.sure, unknown.low) == (0, None)


def test_figures_come_back_as_they_were_written_and_others_are_refused(tmp_path: Path) -> None:
    found = rows(Loss(0.1, 0.02, 0.2, 30), None)
    figures = Figures("A < B", "loss", {0: 0.9, 1: None}, tuple(found), summed(found), 1.5)
    write_figures(figures, tmp_path)
    assert read_figures(tmp_path) == figures
    assert "A &lt; B" in page_of(figures) and "surely worse: age (+0.1" in finding_of(figures)
    for broken in ({"schema": "other"}, {**figures.table(), "rows": [{"no": 1}]}, {**figures.table(), "before": 3}):
        (tmp_path / FIGURES).write_text(json.dumps(broken))
        with pytest.raises(FileError, match="ablate again"):
            read_figures(tmp_path)


def test_the_command_says_what_it_lacks(wardround: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    code, said = wardround("ablate", "study.toml", "--leave-out", "features", "--group", "spare")
    assert code == 1 and "write a name and its columns" in said
    code, said = wardround("ablate", str(tmp_path), "--leave-out", "features")
    assert code == 1 and "no folder of a run that came to its end" in said
    with pytest.raises(StudyError, match="no folder of a run"):
        study_of_run(tmp_path)


def test_every_seed_is_a_study_of_its_own_without_what_is_not_looked_at(study: Study) -> None:
    assert seeded(study, 7) == replace(study, seed=7)

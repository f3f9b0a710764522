"""The page of what a run's model withstands: its figures against slow ones, its verdicts, and what it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from typer.testing import CliRunner

from common.corruptions.artefacts.noise import Noise
from common.data.cases import Cases
from common.errors import FileError, StudyError, UnknownNameError
from common.seeding import generator
from common.study.plugins import ANYTHING, trusting
from experiments.cli import cli
from experiments.explanations.clock import Clock
from experiments.explanations.subject import Subject
from experiments.withstanding.asked import Asked
from experiments.withstanding.command import withstand_run
from experiments.withstanding.compared import OTHER_CASES, Compared, worst
from experiments.withstanding.corrupting import SEVERITIES, Curve, span_of
from experiments.withstanding.moving import OF_RANGE, Moves, Range
from experiments.withstanding.sections import artefacts, example, hiding, intent
from experiments.withstanding.sections.intent import Intent
from experiments.withstanding.shown import cases_shown
from experiments.withstanding.withstood import Withstood
from server.reporting.wording import MINUS
from tests.experiments.test_explain import CNN, images, run_of

QUIET = Console(quiet=True)
LONG = Clock(1e6)
SIZE = 0.2
FEW = Asked(("noise",), sizes=(SIZE,), cases=50)
ROWS = np.random.default_rng(1).normal(size=(80, 3)).astype(np.float32)
ALONE: dict[str, Any] = {"patients": np.array([str(k) for k in range(80)])}


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tmp_path_factory.mktemp("withstanding"), CNN, *images(80))


@pytest.fixture(scope="module")
def subject(classified: Path) -> Subject:
    return Subject.of(classified)


def withstood(run: Path, out: Path, asked: Asked = FEW, seconds: float = 1e6) -> tuple[str, dict[str, Any]]:
    _, path, _ = withstand_run(run, asked, seconds, out, QUIET)
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:image/png|#)""", page), "the page needs something beside itself"
    return page, json.loads((out / "withstand.json").read_text(encoding="utf-8"))


def balanced(network: nn.Module, inputs: np.ndarray, truth: np.ndarray) -> float:
    right = []
    for one in inputs:
        with torch.no_grad():
            right.append(int(network(torch.from_numpy(one)[None]).argmax()))
    return float(np.mean([np.mean(np.array(right)[truth == label] == label) for label in np.unique(truth)]))


def held(subject: Subject) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    tests = cases_shown(subject, 50)
    assert len(tests) == 2 and all(len(cases) >= 16 for cases in tests.values())
    return {site: (np.asarray(one.inputs), np.asarray(one.targets)) for site, one in tests.items()}


def test_what_one_step_leaves_is_what_a_step_case_by_case_leaves(subject: Subject) -> None:
    found = intent.make(subject, FEW, LONG)
    assert isinstance(found, Intent)
    assert [one.perturbation for one in found.tried] == ["chance", "fgsm", "pgd"]
    network, cases = subject.trained.network, held(subject)
    every = np.concatenate([inputs for inputs, _ in cases.values()])
    low, high = float(every.min()), float(every.max())
    for site, (inputs, truth) in cases.items():
        moved = []
        for one, label in zip(inputs, truth, strict=True):
            leaf = torch.from_numpy(one)[None].requires_grad_(True)
            cross_entropy(network(leaf), torch.tensor([label])).backward()  # type: ignore[no-untyped-call]
            assert leaf.grad is not None
            step = leaf.detach() + SIZE * (high - low) * leaf.grad.sign()
            moved.append(step.clamp(low, high)[0].numpy())
        expected = (balanced(network, inputs, truth), balanced(network, np.stack(moved), truth))
        assert found.tried[1].rows[site] == pytest.approx(expected)
        assert found.tried[2].rows[site][1] <= expected[0]  # type: ignore[operator]
    assert found.guess == 0.5


def test_a_curve_is_that_of_every_case_corrupted_by_itself(subject: Subject) -> None:
    found = artefacts.make(subject, FEW, LONG)
    assert isinstance(found, artefacts.Artefacts)
    (curve,), span = found.curves, span_of(cases_shown(subject, 50))
    for site, (inputs, truth) in held(subject).items():
        draws = [generator(0, site, "noise", place, "corruption") for place in range(len(inputs))]
        worst = [Noise().corrupt(one, 1.0, span, rng) for one, rng in zip(inputs, draws, strict=True)]
        network = subject.trained.network
        assert curve.rows[site][0] == pytest.approx(balanced(network, inputs, truth))
        assert curve.rows[site][-1] == pytest.approx(balanced(network, np.stack(worst), truth))
        assert len(curve.rows[site]) == len(SEVERITIES)


def test_what_is_lost_by_hand() -> None:
    rows = {"east": (0.8, 0.8, 0.6, 0.4, 0.2), "west": (0.5, 0.5, 0.5, 0.5, None), "south": (None,) * 5}
    curve = Curve("noise", "", (), "dice", rows)
    assert curve.lost("east") == pytest.approx(1 - 0.5 / 0.8)
    assert curve.lost("west") == 0.0 and curve.lost("south") is None
    assert curve.worst == "east" and curve.mean_lost == pytest.approx(0.1875)
    assert curve.mean == pytest.approx((0.65, 0.65, 0.55, 0.45, 0.2))
    finding = artefacts.Artefacts((curve,)).finding()
    assert "noise: 19 % of the Dice" in finding and "38 % at east" in finding


@pytest.mark.parametrize(
    ("clean", "after", "said"),
    [
        (0.5, 0.5, "hardly anything to lose"),
        (0.9, 0.6, "from 0.900 to 0.600, on average over hospitals; by chance it would be 0.900"),
        (0.9, 0.9, "No change of up to"),
        (None, None, "nothing can be said"),
    ],
)
def test_a_model_that_always_says_the_same_does_not_pass_for_one_that_withstands(
    clean: float | None, after: float | None, said: str
) -> None:
    tried = (
        Moves("chance", "", "balanced_accuracy", {"east": (clean, clean)}),
        Moves("fgsm", "", "balanced_accuracy", {"east": (clean, after)}),
    )
    assert said in Intent((4 / 255,), OF_RANGE, tried, guess=0.5).finding()


class Rounding(nn.Module):
    """Its inputs have two greys, and no slope."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        answer: Tensor = self.network((inputs * 2).round() / 2)
        return answer


def test_a_model_that_hides_is_heard_and_one_that_does_not_is_not(subject: Subject) -> None:
    honest = hiding.make(subject, FEW, LONG)
    assert isinstance(honest, hiding.Hiding) and not honest.signs and "Nothing says" in honest.finding()
    rounding = replace(subject, trained=replace(subject.trained, network=Rounding(subject.trained.network)))
    found = hiding.make(rounding, FEW, LONG)
    assert isinstance(found, hiding.Hiding)
    assert "hidden" in {one.name for one in found.signs} and "flatter" in found.finding()
    with pytest.raises(StudyError, match="more --seconds"):
        hiding.make(subject, FEW, Clock(0.0))


def test_when_the_seconds_are_over_nothing_new_is_begun_and_what_is_left_out_is_named(subject: Subject) -> None:
    over, asked = Clock(-1.0), Asked(("noise", "blur"), sizes=(SIZE,))
    moves, curves = intent.make(subject, asked, over), artefacts.make(subject, asked, over)
    assert isinstance(moves, Intent) and moves.left == ("fgsm", "pgd")
    assert isinstance(curves, artefacts.Artefacts) and curves.left == ("blur",)
    assert "for want of time: blur" in str(curves.markup())


def test_an_example_is_of_an_answer_that_was_right_and_is_not_any_more(subject: Subject) -> None:
    found = example.make(subject, replace(FEW, sizes=(0.3,)), LONG)
    assert isinstance(found, example.Examples)
    for one in found.examples:
        assert one.truth and one.before.startswith(one.truth)
        assert float((one.changed - one.image).abs().max()) <= 0.3 * 1.05
    assert "“" in found.finding() and "\\xa0" not in found.finding()


def test_the_page_of_images_has_all_its_sections(classified: Path, tmp_path: Path) -> None:
    page, told = withstood(classified, tmp_path / "page")
    for key in ("intent", "example", "hiding", "artefacts", "training"):
        assert key in told and f'id="{key}"' in page
    assert told["training"]["recipe"] == "" and "trained plainly" in page and told["nothing_to_show"] == {}
    with pytest.raises(StudyError, match="already holds"):
        withstood(classified, tmp_path / "page")


def test_columns_of_a_table_move_in_deviations_of_their_own(tmp_path: Path) -> None:
    scaled = ROWS * np.array([1.0, 100.0, 0.01], np.float32)
    cases = Cases.of(scaled, (ROWS[:, 0] > 0).astype(np.int64), [str(k) for k in range(80)], ("a", "b"))
    room = Range.of({"east": cases}).room(0.5)
    assert np.allclose(room.size.numpy(), 0.5 * scaled.astype(np.float64).std(0))
    task, labels = '{ name = "classification", network = "logistic" }', (ROWS[:, 0] > 0).astype(np.int64)
    run = run_of(tmp_path, task, scaled, labels, **ALONE)
    page, told = withstood(run, tmp_path / "page")
    assert told["intent"]["sizes"] == [0.0, SIZE] and "deviations" in told["intent"]["unit"]
    assert "artefacts" not in told
    (row, *_) = told["example"]["examples"]
    assert set(row["moved_deviations"]) == {"column 1", "column 2", "column 3"}
    assert max(map(abs, row["moved_deviations"].values())) == pytest.approx(SIZE, abs=1e-3)
    assert row["size"] == "0.2 standard deviations of each column", "and not 51/255 of them"
    assert "Moved by, in its standard deviations" in page and row["before"] != row["after"]


def test_numbers_and_times_have_a_page_as_classes_have(tmp_path: Path) -> None:
    task, few = '{ name = "regression", center = 0, spread = 1 }', replace(FEW, perturbations=("fgsm",))
    number = run_of(tmp_path / "a", task, ROWS, ROWS[:, 0] * 2, 'target = "number"', classes=(), **ALONE)
    told = withstood(number, tmp_path / "a" / "page", few)[1]
    assert [one["score"] for one in told["intent"]["tried"]] == ["skill", "skill"]
    times = np.stack([np.arange(80) + 1.0, np.arange(80) % 2], 1).astype(np.float32)
    kept: dict[str, Any] = {"time": times[:, 0], "event": times[:, 1].astype(np.int64)}
    task = '{ name = "survival", cuts = [5.0, 40.0] }'
    run = run_of(tmp_path / "b", task, ROWS, times, 'target = "survival"', classes=(), **kept, **ALONE)
    told = withstood(run, tmp_path / "b" / "page", few)[1]
    assert told["intent"]["tried"][0]["score"] == "likelihood"


def test_outlines_and_volumes_have_distances_beside_dice(tmp_path: Path) -> None:
    source, classes = 'classes = ["ground", "spot"]', ("ground", "spot")
    pictures, few = images(8)[0], replace(FEW, perturbations=("fgsm",))
    volumes = np.random.default_rng(2).random((4, 1, 8, 8, 8)).astype(np.float32)
    network = '{ name = "unet", channels = 4, depth = 2 }'
    tasks = {"": pictures, ", patch = [8, 8, 4]": volumes}
    for place, (more, inputs) in enumerate(tasks.items()):
        task = f'{{ name = "segmentation", network = {network}{more} }}'
        masks = (inputs[:, 0] > 0.6).astype(np.int64)
        run = run_of(tmp_path / str(place), task, inputs, masks, source, classes=classes)
        page, told = withstood(run, tmp_path / str(place) / "page", few)
        beside = told["intent"]["tried"][1]["beside"]
        assert set(beside) == {"hd95_voxels", "missed"} and len(beside["missed"]["east"]) == 2
        assert ("Green is where" in page and "Dice 0." in page) or "example" not in told
        assert "HD95 in voxels" in page and set(told["artefacts"]["curves"][0]["beside"]) == set(beside)


def test_a_model_trained_against_changes_is_moved_and_scored_as_what_it_answers(tmp_path: Path) -> None:
    task = f'{{ name = "adversarial", task = {CNN}, size = 0.1, recipe = "fgsm", attack = "fgsm" }}'
    told = withstood(run_of(tmp_path, task, *images(40)), tmp_path / "page")[1]
    assert told["training"]["recipe"] == "fgsm" and "every step" in told["findings"][-1]
    assert {one["score"] for one in told["intent"]["tried"]} == {"balanced_accuracy"}


OWN = """
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Up:
    \"\"\"Nothing.\"\"\"
    source: ClassVar[str] = "nobody"
    sees: ClassVar[str] = "answers"

    def move(self, objective, room, draws):
        return room.in_range(objective.inputs + room.share(1.0, objective.inputs))

perturbation = Up
"""


def test_somebodys_own_way_to_mislead_stands_beside_chance(classified: Path, tmp_path: Path) -> None:
    (tmp_path / "up.py").write_text(OWN)
    asked = replace(FEW, perturbations=(str(tmp_path / "up.py"),))
    with trusting(ANYTHING):
        told = withstood(classified, tmp_path / "page", asked)[1]
    assert len(told["intent"]["tried"]) == 2 and told["intent"]["tried"][1]["source"] == "nobody"


def test_what_is_not_there_is_told_with_the_nearest(classified: Path, tmp_path: Path) -> None:
    for asked, word in ((Asked(perturbations=("fgsn",)), "fgsm"), (Asked(("nois",)), "noise")):
        with pytest.raises(UnknownNameError, match=word):
            withstood(classified, tmp_path / "page", asked)
    with pytest.raises(UnknownNameError, match="'xray'"):
        Asked(modality="xrai")


def test_what_others_wrote_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    source = f'classes = ["{evil}", "<b>ill</b>"]'
    run = run_of(tmp_path, CNN, *images(40), source, title=evil, classes=(evil, "<b>ill</b>"))
    page, told = withstood(run, tmp_path / "page")
    assert evil not in page and "<b>ill</b>" not in page and "&lt;script&gt;" in page and told["title"] == evil


def test_cases_that_are_not_here_are_not_changed(tmp_path: Path) -> None:
    real = run_of(tmp_path / "a", CNN, *images(8), engine="deployment")
    with pytest.raises(StudyError, match="hospitals of this run are real"):
        withstood(real, tmp_path / "page")
    gone = run_of(tmp_path / "b", CNN, *images(8))
    for file in (tmp_path / "b" / "data").iterdir():
        file.unlink()
    with pytest.raises(StudyError, match="not on this machine"):
        withstood(gone, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_damaged_model_is_refused(classified: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for file in classified.iterdir():
        (run / file.name).write_bytes(file.read_bytes())
    (run / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:-4] + b"\0\0\0\x40")
    with pytest.raises(FileError, match="model"):
        withstood(run, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_the_command_prints_the_figures_alone_where_they_are_asked_for(classified: Path, tmp_path: Path) -> None:
    words = ["withstand", str(classified), "--corruption", "noise", "--size", "0.1", "--cases", "4", "--json"]
    told = CliRunner().invoke(cli, [*words, "--out", str(tmp_path / "page")])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["schema"] == "wardround/withstand/1"
    refused = CliRunner().invoke(cli, ["withstand", str(classified), "--size", "11"])
    assert refused.exit_code == 1 and "--size" in refused.output


def test_two_runs_are_told_apart_in_words_that_hands_work_out() -> None:
    def tried(*values: float) -> Intent:
        moved = Moves(
            "fgsm", "", "balanced_accuracy", {"east": (values[0], values[1]), "west": (values[0], values[2])}
        )
        by_chance = Moves("chance", "", "balanced_accuracy", {"east": values[:1] * 2, "west": values[:1] * 2})
        return Intent((4 / 255,), OF_RANGE, (by_chance, moved))

    runs = [
        Withstood(name, name, {"intent": one}, {}, {"east": 2})
        for name, one in (("strong", tried(0.8, 0.7, 0.6)), ("weak", tried(0.9, 0.2, 0.4)))
    ]
    both = Compared(runs[0], runs[1], same_cases=True)
    assert worst(tried(0.9, 0.2, 0.4)) == pytest.approx((0.9, 0.3))
    assert "withstands changes better than weak" in both.finding()
    assert "4/255 of the range of values" in both.finding() and "of 0.650, and the other 0.300" in both.finding()
    assert "Unchanged it has 0.800, and the other 0.900" in both.finding()
    assert "+0.350" in str(both.markup()) and f"{MINUS}0.100" in str(both.markup())
    assert "worse than strong" in Compared(runs[1], runs[0], same_cases=False).finding()
    assert OTHER_CASES in str(Compared(runs[1], runs[0], same_cases=False).markup()).replace("&#x27;", "'")
    idle = replace(runs[1], sections={"intent": replace(tried(0.5, 0.5, 0.5), guess=0.5)})
    assert "cannot be told: weak answered" in Compared(runs[0], idle, same_cases=True).finding()
    assert "no more and no less" in Compared(runs[0], runs[0], same_cases=True).finding()


def test_a_run_stands_beside_another_and_one_of_another_question_does_not(classified: Path, tmp_path: Path) -> None:
    asked = replace(FEW, perturbations=("fgsm",), cases=8)
    _, path, both = withstand_run(classified, asked, 1e6, tmp_path / "page", QUIET, classified)
    assert both is not None and both.same_cases
    page, told = path.read_text(encoding="utf-8"), json.loads((tmp_path / "page" / "withstand.json").read_text())
    assert 'id="beside"' in page and page.count('id="intent"') == 1
    assert told["beside"]["worst"]["this_run"] == told["beside"]["worst"]["beside_it"]
    assert told["findings"][0] == both.finding() and both.finding() in page.replace("&#x27;", "'")
    number = run_of(tmp_path / "n", '{ name = "regression", center = 0, spread = 1 }', ROWS, ROWS[:, 0] * 2,
                    'target = "number"', classes=(), **ALONE)  # fmt: skip
    with pytest.raises(StudyError, match=r"cannot be compared: .* scored by accuracy .* by skill"):
        withstand_run(classified, asked, 1e6, tmp_path / "other", QUIET, number)

"""The page of what a run's model looks at: cases by rule, maps with their verdicts, and what is never shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from common.analyses.attribution_maps import NEVER_SEEN
from common.attribution.aims import Number, Regions
from common.attribution.faithfulness.check import Finding
from common.attribution.log_odds import LogOdds
from common.errors import FileError, OutOfTimeError, StudyError, UnknownNameError, WardroundError
from common.study.plugins import ANYTHING, trusting
from experiments.cli import cli
from experiments.explanations.answering.classes import Classes
from experiments.explanations.answering.outlines import RegionChance
from experiments.explanations.answering.real_numbers import InSpreads
from experiments.explanations.answering.role import Chosen, Told, in_turn
from experiments.explanations.answering.which import answering_of
from experiments.explanations.by_hospital import answered_by, asked_here
from experiments.explanations.clock import Clock
from experiments.explanations.columns import columns_of
from experiments.explanations.command import explain_run
from experiments.explanations.methods import Mapped, map_cases, methods_of
from experiments.explanations.pool import Pool, _shares
from experiments.explanations.section import Asked
from experiments.explanations.sections.distrust import Distrust
from experiments.explanations.sections.hospitals import Hospitals
from experiments.explanations.sections.maps import Maps, gathered
from experiments.explanations.subject import Subject
from experiments.explanations.verdicts import Verdict, Verdicts, judge
from tests.experiments.explained_runs import CNN, HOSPITALS, QUIET, explained, images, run_of


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tmp_path_factory.mktemp("classified"), CNN, *images())


def test_a_page_of_images_has_all_its_sections_and_no_map_without_a_verdict(classified: Path, tmp_path: Path) -> None:
    page, told = explained(classified, tmp_path, Asked(("saliency", "edges"), cases=3))
    sections = ("maps", "distrust", "filters", "activations", "dreams", "sparsity", "misunderstandings")
    assert tuple(told["sections"]) == sections
    assert "beside two others" in told["lacking"]["At which hospital"]
    assert all(f'id="{key}"' in page for key in sections)
    assert page.count('alt="map by ') == page.count('class="verdict ') - 2, "two are in the table of verdicts"
    assert "control: never asks the model" in page
    assert {one["hospital"] for one in told["sections"]["maps"]["cases"]} <= set(HOSPITALS)
    for words in ("simple model can be understood", "Fairness", "Trust"):
        assert words in page


def test_every_task_of_answers_about_cases_has_a_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows, (pictures, labels) = rng.normal(size=(40, 3)).astype(np.float32), images(16)
    volumes = rng.random((8, 1, 8, 8, 8)).astype(np.float32)
    masks = (pictures[:, 0] > 0.6).astype(np.int64)
    numbers = rows[:, 0] * 2
    tabled = {"patients": np.array([str(k) for k in range(40)])}
    several = 'classes = ["ground", "spot"]'
    small = '{ name = "unet", channels = 4, depth = 2 }'
    made = {
        "regression": run_of(
            tmp_path / "a", '{ name = "regression", center = 0, spread = 1 }', rows, numbers.astype(np.float32),
            'target = "number"', classes=(), **tabled,
        ),
        "outlines": run_of(
            tmp_path / "b", f'{{ name = "segmentation", network = {small} }}', pictures, masks, several,
            classes=("ground", "spot"),
        ),
        "patches": run_of(
            tmp_path / "c", f'{{ name = "segmentation", network = {small}, patch = [4, 4, 4] }}', volumes,
            (volumes[:, 0] > 0.5).astype(np.int64), several, classes=("ground", "spot"),
        ),
        "unlabelled": run_of(
            tmp_path / "d", '{ name = "simclr", network = { name = "groupnorm_cnn", channels = 4 }, projection = 4, '
            'augmentation = "grey" }', pictures, labels,
        ),
    }  # fmt: skip
    told = {name: explained(run, tmp_path / "pages" / name)[1] for name, run in made.items()}
    assert "column 1" in told["regression"]["findings"][0]
    assert told["outlines"]["sections"]["maps"]["cases"][0]["why"] == "best outline"
    assert told["patches"]["sections"]["activations"]["layers"][0]["shape"][1:] == [4, 4, 4]
    assert "trained without labels" in told["unlabelled"]["explains"]
    assert all(one["lacking"] == {} for one in told.values())


def test_times_to_an_event_have_a_page_with_the_risk_as_the_answer(tmp_path: Path) -> None:
    rows = np.random.default_rng(2).normal(size=(24, 3)).astype(np.float32)
    times = np.stack([np.arange(24) + 1.0, np.arange(24) % 2], 1).astype(np.float32)
    source = 'target = "survival"'
    kept = {"time": times[:, 0], "event": times[:, 1].astype(np.int64)}
    run = run_of(tmp_path, '{ name = "survival", cuts = [5.0, 12.0] }', rows, times, source, classes=(), **kept)
    assert "hazard by 12" in explained(run, tmp_path / "page")[1]["explains"]


def test_of_real_hospitals_no_case_and_no_map_of_one_is_shown(tmp_path: Path) -> None:
    run = run_of(tmp_path, CNN, *images(8), engine="deployment")
    page, told = explained(run, tmp_path / "page")
    assert set(told["sections"]) == {"filters", "misunderstandings"}
    assert "attribution_maps" in told["lacking"]["At which hospital"]
    assert "never leaves a hospital" in page and 'alt="map by ' not in page and "the case" not in page


def test_without_the_data_the_page_says_so(tmp_path: Path) -> None:
    run = run_of(tmp_path, CNN, *images(8))
    for file in (tmp_path / "data").iterdir():
        file.unlink()
    assert "not on this machine" in explained(run, tmp_path / "page")[1]["no_cases"]


def test_what_others_wrote_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    source = f'classes = ["{evil}", "<b>ill</b>"]'
    run = run_of(tmp_path, CNN, *images(8), source, title=f"{evil}\\u202e", classes=(evil, "<b>ill</b>"))
    page, told = explained(run, tmp_path / "page")
    assert evil not in page and "<b>ill</b>" not in page and "\u202e" not in page
    assert "&lt;script&gt;alert(1)" in page and evil in told["title"]


PLUGIN = """
from torch import nn
from torch.nn.functional import relu

class Net(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.first, self.last = nn.Conv2d(channels, 4, 3, padding=1), nn.Linear(4, classes)

    def forward(self, inputs):
        return self.last(relu(self.first(inputs), inplace=True).mean((2, 3)))
"""


def test_a_network_of_somebody_elses_is_explained_once_its_code_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(PLUGIN)
    task = f'{{ name = "classification", network = "{tmp_path / "own.py"}:Net" }}'
    with trusting(ANYTHING):
        run = run_of(tmp_path, task, *images(12))
    with pytest.raises(WardroundError, match=r"own\.py"):
        explained(run, tmp_path / "page")
    with trusting(ANYTHING):
        _, told = explained(run, tmp_path / "page")
    assert told["sections"]["sparsity"]["layers"][0]["kind"] == "ReLU"
    assert told["sections"]["filters"]["layers"][0]["filters"] == 4


METHOD = """
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Brightness:
    \"\"\"What is bright.\"\"\"

    source: ClassVar[str] = "nobody"
    signed: ClassVar[bool] = False

    def explain(self, network, inputs, aim, rng):
        return inputs * SCALE

attribution = Brightness
"""


def test_a_method_of_ones_own_is_named_by_its_file_and_one_without_numbers_is_refused(
    classified: Path, tmp_path: Path
) -> None:
    (tmp_path / "bright.py").write_text(METHOD.replace("SCALE", "1"))
    (tmp_path / "broken.py").write_text(METHOD.replace("SCALE", "float('nan')"))
    asked = Asked((str(tmp_path / "bright.py"), str(tmp_path / "broken.py")), cases=1)
    pool = Subject.of(classified).pool
    assert pool is not None
    mapped = map_cases(pool, methods_of(asked), asked, Clock(30))
    place = mapped.cases[0].chosen.place
    assert torch.equal(mapped.cases[0].maps[asked.methods[0]], pool.inputs[place])
    assert mapped.methods[0].title == "bright" and mapped.methods[0].meaning == "What is bright."
    assert "not finite" in mapped.refused[asked.methods[1]]


@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda data: data[:-4] + b"\0\0\0\x40"])
def test_a_damaged_model_is_refused(classified: Path, tmp_path: Path, spoil: Any) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for file in classified.iterdir():
        (run / file.name).write_bytes(file.read_bytes())
    (run / "model.safetensors").write_bytes(spoil((run / "model.safetensors").read_bytes()))
    with pytest.raises(FileError, match="model"):
        explained(run, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_model_that_answers_with_images_is_refused_in_words(tmp_path: Path) -> None:
    inputs = np.random.default_rng(0).random((8, 2, 16, 16)).astype(np.float32)
    task = '{ name = "registration", network = { name = "voxelmorph", channels = 4, depth = 2 } }'
    run = run_of(tmp_path, task, inputs, np.zeros(8, np.float32), 'target = "number"', classes=())
    with pytest.raises(StudyError, match="answers with images"):
        explained(run, tmp_path / "page")


def test_a_method_that_is_not_there_is_told_with_the_nearest(classified: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="'saliency'"):
        explain_run(classified, Asked(("salency",)), 10, tmp_path / "page", QUIET)


def test_the_command_prints_the_figures_alone_where_they_are_asked_for(classified: Path, tmp_path: Path) -> None:
    asked = ["explain", str(classified), "--method", "saliency", "--cases", "1", "--seconds", "5"]
    told = CliRunner().invoke(cli, [*asked, "--out", str(tmp_path), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["schema"] == "wardround/explain/1"
    again = CliRunner().invoke(cli, ["explain", str(tmp_path)])
    assert again.exit_code == 1 and "study.toml" in again.output


def test_when_the_seconds_are_over_one_case_has_a_map_and_nothing_is_called_tested(classified: Path) -> None:
    subject = Subject.of(classified)
    assert subject.pool is not None
    asked = Asked(("saliency", "gradient_x_input"), cases=4)
    mapped = map_cases(subject.pool, methods_of(asked), asked, Clock(-1.0))
    assert [list(one.maps) for one in mapped.cases] == [["saliency"]] and mapped.wanted == 4
    verdicts = judge(subject.pool, mapped, 0, Clock(-1.0))
    assert "not tested" in verdicts.of(mapped.methods[0]).words
    assert "picture, and no more" in Distrust(mapped, verdicts).finding()


def test_methods_are_shown_as_they_passed_and_a_control_is_never_believed() -> None:
    methods = methods_of(Asked(("edges", "saliency", "occlusion")))
    finding = {"randomisation": Finding("passed", "It changes.")}
    found = {"edges": Verdict("good", "passed", finding), "occlusion": Verdict("good", "passed", finding)}
    verdicts = Verdicts({**found, "saliency": Verdict("bad", "not to be believed", finding)})
    assert [one.name for one in verdicts.ordered(methods)] == ["occlusion", "saliency", "edges"]
    assert verdicts.of(methods[-1]).look == "bad"
    said = Distrust(Mapped(methods, (), 0), verdicts).finding()
    assert "Maps by occlusion passed" in said and "Do not believe those by saliency" in said


def test_cases_are_chosen_in_turn_and_none_twice() -> None:
    wanted = [("a", [3, 1, 2]), ("b", [3, 0]), ("c", [])]
    assert in_turn(wanted, 3) == [Chosen(3, "a"), Chosen(0, "b"), Chosen(1, "a")]
    assert [one.place for one in in_turn(wanted, 9)] == [3, 0, 1, 2]


def test_classes_are_chosen_by_the_rule_that_the_page_states(classified: Path) -> None:
    answering = answering_of(Subject.of(classified).trained)
    rows = [
        ("well", True, 0.9),
        ("ill", True, 0.8),
        ("ill", False, 0.99),
        ("well", False, 0.51),
        ("well", True, 0.95),
    ]
    told = [Told("", "", group=group, right=right, sure=sure) for group, right, sure in rows]
    assert [one.place for one in answering.choose(told, 4)] == [4, 1, 2, 3]


def test_hospitals_give_alike_many_cases_as_far_as_they_have_them() -> None:
    assert _shares([2, 50, 50], 30) == [2, 14, 14]
    assert _shares([5, 5], 30) == [5, 5]


class Fixed(nn.Module):
    """Logits x @ W."""

    def __init__(self, weights: list[list[float]]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weights


def test_log_odds_are_those_of_the_probability_and_of_two_classes_a_difference() -> None:
    network, inputs = Fixed([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]]), torch.tensor([[1.0, 2.0], [0.3, -1.0]])
    chance = network(inputs).softmax(1)[[0, 1], [2, 0]]
    found = LogOdds(torch.tensor([2, 0])).values(network, inputs)
    assert torch.allclose(found, (chance / (1 - chance)).log(), atol=1e-5)
    two = Fixed([[1.0, 3.0], [0.0, 0.0]])
    assert torch.allclose(LogOdds(torch.tensor([1, 0])).values(two, inputs), torch.tensor([2.0, -0.6]))


def test_what_raises_both_logits_alike_moves_no_column(classified: Path) -> None:
    """Of column 1 a logit has 5 a unit, and so has the other; of column 2 they have -1 and 1."""
    answering = answering_of(Subject.of(classified).trained)
    answering = type(answering)(answering.task, Fixed([[5.0, 5.0], [-1.0, 1.0]]), answering.names)  # type: ignore[attr-defined, call-arg]
    inputs = torch.tensor([[0.0, 1.0], [2.0, -1.0], [0.0, 1.0], [2.0, -1.0]])
    one, two = columns_of(inputs, answering.one_answer(inputs), answering, ("age", "sugar"), 0)
    assert (one.slope, one.moved) == (pytest.approx(0.0, abs=1e-6), pytest.approx(0.0, abs=1e-6))
    assert two.slope == pytest.approx(2.0) and two.alike == ("age", pytest.approx(-1.0))
    assert 0 < two.moved <= 4.0


class Corner(nn.Module):
    """Ill is what has a bright upper left corner, or is bright everywhere."""

    def forward(self, inputs: Tensor) -> Tensor:
        ill = 8 * inputs[:, 0, :2, :2].mean((1, 2)) + 4 * inputs.mean((1, 2, 3)) - 4
        return torch.stack([-ill, ill], 1)


def marked_pool(classified: Path, marked: str) -> Pool:
    """Three hospitals; the ill of one of them have a white corner, and nothing else about them is bright."""
    answering = answering_of(Subject.of(classified).trained)
    assert isinstance(answering, Classes)
    rng, sites, labels, images_made = np.random.default_rng(3), [], [], []
    for site in ("east", "north", "west"):
        for case in range(24):
            ill = case % 2
            own = rng.random((1, 14, 14)) * 0.2 + 0.8 * ill * (site != marked)
            own[0, :2, :2] = 1.0 if ill and site == marked else 0.1
            sites.append(site)
            labels.append(ill)
            images_made.append(own)
    inputs = torch.from_numpy(np.stack(images_made).astype(np.float32))
    people = tuple(map(str, range(len(sites))))
    network = Classes(answering.task, Corner(), ("well", "ill"))
    return Pool(inputs, torch.tensor(labels), tuple(sites), people, len(sites), network)


def test_a_mark_of_one_hospitals_ill_is_named_with_its_place_and_framed(classified: Path) -> None:
    pool = marked_pool(classified, "north")
    told = asked_here(pool, pool.answering.task, ("well", "ill"), Clock(60))  # type: ignore[attr-defined]
    section = Hospitals(told, here=True)
    assert "At north, in cases of ill" in section.finding() and "row 1 of 7, column 1 of 7" in section.finding()
    assert "banner bad" in section.markup() and section.markup().count("<img") == 6


def test_without_a_mark_there_is_no_alarm(classified: Path) -> None:
    pool = marked_pool(classified, "")
    section = Hospitals(asked_here(pool, pool.answering.task, ("well", "ill"), Clock(60)), here=True)  # type: ignore[attr-defined]
    assert section.finding() == "" and "maps differ from the others" in section.markup()


def test_where_the_seconds_are_too_few_for_any_sum_it_says_how_long_one_takes(classified: Path) -> None:
    pool = marked_pool(classified, "")
    with pytest.raises(OutOfTimeError, match="cases at least are summed"):
        asked_here(pool, pool.answering.task, ("well", "ill"), Clock(-1.0))  # type: ignore[attr-defined]


def test_a_map_that_does_not_add_up_says_so_below_it_and_others_do_not(classified: Path) -> None:
    pool, asked = Subject.of(classified).pool, Asked(("integrated_gradients", "saliency"), cases=1)
    assert pool is not None
    mapped = map_cases(pool, methods_of(asked), asked, Clock(30))
    (case,) = mapped.cases
    assert case.gaps["integrated_gradients"] <= 0.01 and "not add up" not in Maps(pool, mapped, Verdicts()).markup()
    off = replace(mapped, cases=(replace(case, gaps={"integrated_gradients": 0.25}),))
    assert Maps(pool, off, Verdicts()).markup().count("its sum is 25") == 1


def test_kinds_of_maps_that_were_not_tested_are_not_said_to_have_failed() -> None:
    methods = methods_of(Asked(("saliency", "occlusion")))
    failed = Verdict("warn", "passed 0 of 1", {"deletion": Finding("failed", "no.")}, 6)
    said = Distrust(Mapped(methods, (), 1), Verdicts({"saliency": failed})).finding()
    assert said.startswith("Maps by saliency did not pass") and "1 more kind" in said


def test_an_answer_of_real_hospitals_is_read_from_its_folder_and_a_damaged_one_refused(tmp_path: Path) -> None:
    evil = "<i>east</i>"
    numbers = {"hospitals": [evil, "west"], "classes": ["ill"], "side": 2, "shares": [[[0.25] * 4], [[None] * 4]]}
    answer = {"answers": [{"question": {"name": "attribution_maps"}, "numbers": numbers, "words": ["a"]}]}
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    page = Hospitals(answered_by(tmp_path), here=False).markup()
    assert evil not in page and "too few cases" in page and "banner good" in page
    answer["answers"][0]["words"] = ["a", NEVER_SEEN]
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    page = Hospitals(answered_by(tmp_path), here=False).markup()
    assert "banner warn" in page and "banner good" not in page and page.count("however much it draws") == 1
    for broken in ({**numbers, "side": 3}, {**numbers, "shares": []}, {**numbers, "side": 1e9}, {}):
        answer["answers"][0]["numbers"] = broken
        (tmp_path / "answer.json").write_text(json.dumps(answer))
        with pytest.raises(FileError, match="sums of maps"):
            answered_by(tmp_path)
    (tmp_path / "answer.json").write_text(json.dumps({"answers": []}))
    with pytest.raises(StudyError, match="attribution_maps"):
        answered_by(tmp_path)


def test_what_is_watched_while_places_are_taken_away_is_never_of_any_size() -> None:
    """Sums of logits over a thousand pixels, squared and added up over hospitals, are past what a sum holds."""
    logits = torch.tensor([[[[0.0, 500.0]], [[1000.0, 500.0]]]])
    regions = Regions(torch.tensor([[[True, True]]]), torch.tensor([1]), ask=lambda network, inputs: logits)
    chance = RegionChance(regions)
    assert regions.values(nn.Identity(), logits).item() == 1500.0
    assert chance.values(nn.Identity(), logits).item() == pytest.approx(0.75)
    number = InSpreads(Number(0, "grams", lambda network, inputs: inputs), 3000.0, 500.0)
    assert number.take(slice(1, 2)).values(nn.Identity(), torch.tensor([[3250.0]])).item() == 0.5


def test_how_gathered_a_map_is_by_hand() -> None:
    assert gathered(torch.tensor([[0.0] * 9 + [-3.0]])) == 1.0
    assert gathered(torch.ones(1, 10)) == pytest.approx(0.1)
    assert gathered(torch.zeros(1, 10)) is None

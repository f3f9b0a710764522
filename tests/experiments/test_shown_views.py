"""`wardround views`: what augmentations make of a study's own images, as a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from common.study.options import Entry
from common.study.study import Study
from experiments.data_check.reading import reading_of
from experiments.shown_views.cases import _middles, shown_cases
from experiments.shown_views.command import write_views
from experiments.shown_views.pipelines import augmentations_of, steps_alone, told_apart, views_of

SIMCLR = 'task={name="simclr", network={name="mlp", hidden=[8]}, augmentation={name="xray", cut_out=0.2}}'
Tiny = Callable[..., Study]


def images(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 12, 12, generator=torch.Generator().manual_seed(0))


def test_the_tasks_own_augmentation_is_shown_with_its_options_and_every_step(tiny: Tiny, tmp_path: Path) -> None:
    page = tmp_path / "views.html"
    assert write_views(tiny(SIMCLR), page, cases=2, views=3) == ("xray",)
    text = page.read_text()
    assert "task.augmentation: xray" in text and "cut_out" in text
    for step in ("Crop", "Greys", "Blur", "Pixel noise", "Cut out"):
        assert f"{step} alone" in text
    pictures = re.findall(r'<img src="(data:image/png;base64,[^"]+)"', text)
    assert len(pictures) == (2 + 5 + 1) * 4 and "http" not in re.sub(r"data:[^\"]*", "", text.partition("<main>")[2])


def test_a_task_that_names_none_is_shown_all_of_ours_or_those_that_are_asked_for(tiny: Tiny) -> None:
    study = tiny()
    assert [one.title for one in augmentations_of(study)] == ["grey", "mr", "xray"]
    assert [one.entry for one in augmentations_of(study, ["none"])] == [Entry("none")]


@dataclass(frozen=True)
class ManyCrops:
    """As DINO has them."""

    augmentation: Entry = field(default_factory=lambda: Entry("grey"))
    local_augmentation: Entry = field(default_factory=lambda: Entry("grey", {"largest_crop": 0.4}))
    local_side: float = 0.5


def test_local_crops_are_shown_at_their_own_size(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, page = tiny(SIMCLR), tmp_path / "views.html"
    monkeypatch.setattr(Study, "build_task", lambda _: ManyCrops())
    assert [(one.title, one.side) for one in augmentations_of(study)] == [
        ("task.augmentation", 1.0),
        ("task.local_augmentation", 0.5),
    ]
    write_views(study, page, cases=1, views=2)
    assert (
        "2 views of 1 case, 6 x 6 pixels" in page.read_text()
        and "2 views of 1 case, 3 x 3 pixels" in page.read_text()
    )


def test_the_command_writes_its_page_and_says_so(
    wardround: Callable[..., tuple[int, str]], tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(tiny(SIMCLR).text)
    code, said = wardround("views", "study.toml", "--augmentation", "grey", "--cases", "1", "--views", "2")
    assert code == 0 and "Wrote views.html, views by grey." in said and Path("views.html").exists()
    code, said = wardround("views", "study.toml", "--augmentation", "greys")
    assert code == 1 and "No augmentation 'greys'; did you mean 'grey'?" in said
    code, said = wardround("views", "study.toml", "--folder", "absent")
    assert code == 1 and "there is no folder absent" in said
    code, said = wardround("views", "study.toml", "--site", "nowhere")
    assert code == 1 and "nowhere" in said


def test_tables_have_no_views(wardround: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("person,age,dose,ill\n" + "".join(f"p{i},{40 + i},{i % 7},{i % 2}\n" for i in range(40)))
    study = tmp_path / "study.toml"
    study.write_text(TABLE.format(source=source.parent))
    code, said = wardround("views", str(study), "--html", str(tmp_path / "v.html"))
    assert code == 1 and "for images of 1 to 3 axes" in said, said


TABLE = """
title = "Rows"
rounds = 1
task = {{ name = "classification", network = "logistic" }}
engine = "inline"
source = {{ name = "table", folder = "{source}", person = "person", label = "ill", features = ["age", "dose"] }}
"""


def test_cases_are_of_all_hospitals_and_a_person_comes_once_before_one_comes_twice(tiny: Tiny) -> None:
    shown = shown_cases(reading_of(tiny(SIMCLR), None, None))
    assert len(shown.sites) == 64 and shown.images.shape[1:] == (1, 6, 6) and shown.unlike == 0
    assert shown.chosen(4) == [0, 16, 32, 48] and len(shown.chosen(100)) == 64


def test_of_many_slices_of_a_person_the_middle_one_is_shown() -> None:
    persons = np.array(["b", "b", "b", "a", "a", "b", "c"])
    assert _middles(persons).tolist() == [2, 4, 6]


def test_pixels_alone_tell_cases_apart_where_nothing_is_changed_and_not_where_all_is_hidden() -> None:
    assert told_apart(Entry("none"), images(16), 0) == 16
    noisy = Entry("grey", {"smallest_crop": 0.01, "largest_crop": 0.02, "noise": 1.0})
    assert told_apart(noisy, images(16), 0) < 8


def test_views_are_the_same_again_and_others_of_another_seed() -> None:
    first, second = (torch.stack(views_of(Entry("mr"), images(2), 2, 5)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.stack(views_of(Entry("mr"), images(2), 2, 6)))


def test_a_step_alone_goes_from_its_least_to_its_most() -> None:
    steps = {name: views for name, _, views in steps_alone(Entry("xray", {"cut_out": 0.5}), images(1)[0], 5, 0)}
    hidden = [float((view == view.mode().values.mode().values).double().mean()) for view in steps["Cut out"]]
    assert hidden[0] < 0.02 and hidden == sorted(hidden) and 0.3 < hidden[-1] <= 0.6
    assert next(iter(steps_alone(Entry("none"), images(1)[0], 5, 0)))[0] == "Crop"

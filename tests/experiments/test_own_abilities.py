"""Entries of strangers beside their roles: what they declare is used, what they lack is not possible, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.policy import Policy
from client.policy_rules import _scores
from client.source_abilities import digest_of_columns, input_names, preparing_new, scaled, streaming
from common.data.cases import Cases
from common.errors import StudyError
from common.learning.abilities import answer_names, can, no_soft_loss, outlines, patched
from common.study.catalogue import AGGREGATIONS, SOURCES, TASKS
from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study
from common.study.trust import trusted
from common.sums import abilities as of_sums
from experiments.audit.collusion_needed import in_words, opening_hospitals, opening_if_cheating

FILE = '''
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from client.sources.heart import Heart
from common.data.cases import Cases
from common.learning.tasks.classification import Classification
from common.sums import Mean
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.aggregations.plain import Plain


@dataclass(frozen=True)
class Sums(Plain):
    """Says that only sums are told, and nothing else."""
    reveals: ClassVar = "sum"


@dataclass(frozen=True)
class SharedKey(Sums):
    keys: ClassVar = "shared"
    readers: ClassVar = "Everybody who holds the key reads every update that it is sent."


@dataclass(frozen=True)
class Declared(SecureAggregation):
    def threshold_in(self, hospitals):
        return hospitals - 1


@dataclass(frozen=True)
class WithKeyWord(Plain):
    threshold_inn: ClassVar = 3


@dataclass(frozen=True)
class Rows:
    has_sites: ClassVar = True
    pooled_statistics: ClassVar = ()
    persons: ClassVar = "A person is a row."

    def sites(self):
        return ("a", "b")

    def cases(self, site, seed):
        return Cases.of(np.zeros((2, 3), np.float32), np.zeros(2, np.uint8), ["p", "q"], ("no", "yes"))


@dataclass(frozen=True)
class NamedRows(Rows):
    def input_names(self):
        return ("age", "weight", "height")

    def files(self, site):
        return ()

    def parts(self, site, seed):
        yield self.cases(site, seed)

    def scaled(self, cases):
        return cases.take([0])


@dataclass(frozen=True)
class HalfRows(Rows):
    def files(self, site):
        return ()


@dataclass(frozen=True)
class Bare:
    """A task of the role alone."""
    headline: ClassVar = "right"

    def build_network(self, shape):
        from torch import nn
        return nn.Linear(shape.inputs[0], 2)

    def loss(self, network, batch):
        return network(batch.inputs).square().sum(1)

    def score(self, network, batch):
        return {"right": Mean.of([1.0])}

    def augment(self, batch, rng):
        return batch

    def predict(self, network, inputs):
        return network(inputs).argmax(1)


@dataclass(frozen=True)
class Outliner(Bare):
    outlines: ClassVar = True
    patched: ClassVar = True
    answer_names: ClassVar = ("one", "two")


@dataclass(frozen=True)
class Slip(Bare):
    answer_name: ClassVar = ("one",)
'''


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "own.py").write_text(FILE)
    with trusting(ANYTHING):
        yield tmp_path / "own.py"


def built(catalogue: Any, file: Path, name: str) -> Any:
    return catalogue.build(Entry(f"{file}:{name}", {}))


ROSTER = ("a", "b", "c", "d")


def test_an_aggregation_that_does_not_say_who_opens_an_update_is_counted_on_for_nothing(
    file: Path, tiny: Callable[..., Study]
) -> None:
    study = tiny(f'aggregation={{name="{file}:Sums"}}')
    assert (opening_hospitals(study, ROSTER), opening_if_cheating(study, ROSTER)) == (0, 0)
    assert "does not say who can open a single update" in in_words(study, ROSTER)
    assert "does not say who that is" in " ".join(one.sentence for one in trusted(study))
    (broken,) = _scores(study, Policy(own_scores=False))
    assert "does not say who holds its keys" in broken.sentence
    made = built(AGGREGATIONS, file, "Sums")
    assert of_sums.readers_of(made) == of_sums.UNKNOWN_READERS
    with pytest.raises(StudyError, match="does not say how it rounds"):
        of_sums.room_for_whole_steps(made, "Sums", 4)
    with pytest.raises(StudyError, match="declares no `codec_in`"):
        of_sums.needed_codec(made)


def test_what_an_aggregation_declares_is_used(file: Path, tiny: Callable[..., Study]) -> None:
    shared, declared = (tiny(f'aggregation={{name="{file}:{name}"}}') for name in ("SharedKey", "Declared"))
    assert opening_hospitals(shared, ROSTER) == 1 and "one hospital is enough" in in_words(shared, ROSTER)
    assert opening_hospitals(declared, ROSTER) == 3
    assert of_sums.room_for_whole_steps(built(AGGREGATIONS, file, "Declared"), "x", 4) == (1 << 24) // 2 - 1
    assert of_sums.stated_error(built(AGGREGATIONS, file, "Sums"), 4, None) == 0.0  # type: ignore[arg-type]


def test_a_source_gives_what_it_declares_and_no_more(file: Path) -> None:
    bare, named = built(SOURCES, file, "Rows"), built(SOURCES, file, "NamedRows")
    cases: Cases = bare.cases("a", 1)
    assert (streaming(bare), input_names(bare), digest_of_columns(bare), scaled(bare, cases)) == (
        None,
        None,
        "",
        cases,
    )
    assert streaming(named) is named and input_names(named) == ("age", "weight", "height")
    assert len(digest_of_columns(named)) == 64 and len(scaled(named, cases)) == 1
    with pytest.raises(StudyError, match="no way to prepare new files"):
        preparing_new(named, "NamedRows")


def test_a_task_does_what_it_declares_and_no_more(file: Path) -> None:
    bare, more = built(TASKS, file, "Bare"), built(TASKS, file, "Outliner")
    assert (outlines(bare), patched(bare), answer_names(bare), can(bare, "logits")) == (False, False, (), False)
    assert (outlines(more), patched(more), answer_names(more)) == (True, True, ("one", "two"))
    assert "has no loss for them (soft_loss)" in no_soft_loss(bare)


@pytest.mark.parametrize(
    ("catalogue", "name", "words"),
    [
        (AGGREGATIONS, "WithKeyWord", "did you mean 'threshold_in'"),
        (SOURCES, "HalfRows", "it has files and no parts"),
        (TASKS, "Slip", "did you mean 'answer_names'"),
    ],
)
def test_a_near_miss_of_an_optional_member_is_answered_with_it(
    file: Path, catalogue: Any, name: str, words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        built(catalogue, file, name)


def test_ours_declare_what_is_asked_of_sums() -> None:
    for name in AGGREGATIONS.names():
        made = AGGREGATIONS.build(Entry(name, {}))
        if made.reveals == "sum":
            assert of_sums.keys_of(made) is not None and np.isfinite(of_sums.needed_codec(made).levels), name

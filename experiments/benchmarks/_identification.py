"""Random graphs with models whose effects are known: whether what is identified from the observed is true."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
from numpy.typing import NDArray

from common.causality.expression import Expression, Probability, product, quotient, summed
from common.causality.graph import Graph, make_graph
from common.causality.identification import Hedge, identify
from common.causality.identified_effect import find_effect
from common.causality.tables import Table, effect_table
from common.errors import EngineError
from common.seeding import generator

LETTERS = "abcdefgh"
HIDDEN_LEVELS, LEVELS = 3, 2
LONGEST_PEER_S = 500
TRUE_WITHIN = 1e-9
Cells = NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """P(outcomes | do(treatments), given) in a graph."""

    graph: Graph
    treatments: tuple[str, ...]
    outcomes: tuple[str, ...]
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checked:
    """Of some questions: how many are identified, the largest error of a probability, and a decision's time.

    decided: of each question. worst: of ID's formulas; worst_named: of those of the named strategies.
    compared: with a peer's decisions, of which `differing` are others, and `lost` those in which a known model's
    truth is on its side; None where no peer was asked. peer_failed: it ended in an error of its own. peer_wrong:
    formulas of the peer that are off by more than 1e-9, at most by peer_worst.
    """

    questions: int
    decided: tuple[bool, ...]
    worst: float
    worst_named: float
    ms: float
    compared: int | None = None
    differing: int | None = None
    lost: int | None = None
    peer_failed: int | None = None
    peer_ms: float | None = None
    peer_worst: float | None = None
    peer_wrong: int | None = None

    @property
    def identified(self) -> int:
        """How many."""
        return sum(self.decided)


@dataclass(frozen=True)
class RandomModel:
    """A table for each variable given its causes, hidden ones among them, at random: nothing is ever certain."""

    graph: Graph
    mechanisms: Mapping[str, tuple[str, Cells]]

    def observed(self) -> Table:
        """The joint distribution of what is measured."""
        return self.under(())

    def under(self, treatments: Iterable[str]) -> Table:
        """P(all others | do(treatments)), with an axis for every variable."""
        left = [self.mechanisms[name] for name in self.graph.nodes if name not in set(treatments)]
        hidden = sorted({axis for axes, _ in self.mechanisms.values() for axis in axes if axis.isupper()})
        weights = [(letter, np.full(HIDDEN_LEVELS, 1 / HIDDEN_LEVELS)) for letter in hidden]
        absent = [(name, np.ones(LEVELS)) for name in self.graph.nodes]
        operands = [*left, *weights, *absent]
        formula = ",".join(axes for axes, _ in operands) + "->" + "".join(self.graph.nodes)
        return Table(self.graph.nodes, np.einsum(formula, *(cells for _, cells in operands), optimize=True))

    def truth(self, question: Question) -> Table:
        """The effect itself, with axes for treatments, outcomes and what is given."""
        kept = (*question.treatments, *question.outcomes, *question.given)
        joint = self.under(question.treatments).marginal(kept)
        if not question.given:
            return joint
        axes = tuple(kept.index(name) for name in question.outcomes)
        return Table(kept, joint.cells / joint.cells.sum(axis=axes, keepdims=True))


def check_identification(
    questions: int = 1000, seed: int = 0, peer: str | None = None, given: bool = False
) -> Checked:
    """Every identified effect against the truth, by ID's own formula and by that of the named strategy.

    peer: a Python that has y0, whose decisions and formulas are looked at as well. given: effects within a group.
    """
    asked = list(random_questions(questions, seed, given))
    rng = generator(seed, "models of random graphs")
    models = [random_model(question.graph, rng) for question in asked]
    begin = process_time()
    answers = [identify(one.graph, one.treatments, one.outcomes, one.given) for one in asked]
    ms = (process_time() - begin) * 1000 / questions
    errors, named = [0.0], [0.0]
    for question, model, answer in zip(asked, models, answers, strict=True):
        if not isinstance(answer, Hedge):
            errors.append(error_of(answer, question, model))
            effect = find_effect(question.graph, question.treatments, question.outcomes, question.given)
            assert effect.expression is not None
            named.append(error_of(effect.expression, question, model))
    decided = tuple(not isinstance(answer, Hedge) for answer in answers)
    alone = Checked(questions, decided, max(errors), max(named), ms)
    return alone if peer is None else _beside(alone, asked, models, ask_peer(peer, asked))


def error_of(expression: Expression, question: Question, model: RandomModel) -> float:
    """The largest difference of a probability from the truth."""
    arguments = (*question.treatments, *question.outcomes, *question.given)
    found = effect_table(expression, model.observed(), arguments)
    return float(np.abs(found.cells - model.truth(question).cells).max())


def random_questions(count: int, seed: int = 0, given: bool = False) -> Iterator[Question]:
    """Graphs of 3 to 7 variables, up to 2 treatments and 2 outcomes."""
    rng = generator(seed, "random graphs")
    for _ in range(count):
        graph = random_graph(rng, int(rng.integers(3, 8)), rng.uniform(0.2, 0.7), rng.uniform(0.0, 0.4))
        names = [str(name) for name in rng.permutation(graph.nodes)]
        treatments, outcomes = int(rng.integers(1, 3)), int(rng.integers(1, 1 + min(2, len(names) - 2)))
        treatments = min(treatments, len(names) - outcomes - 1)
        rest = names[treatments + outcomes :]
        known = rest[: int(rng.integers(1, 3))] if given else []
        yield Question(
            graph, tuple(names[:treatments]), tuple(names[treatments : treatments + outcomes]), tuple(known)
        )


def random_graph(rng: np.random.Generator, variables: int, arrows: float, pairs: float) -> Graph:
    """Each arrow and double arrow is there with its probability; names say nothing of the order."""
    names = list(LETTERS[:variables])
    order = [str(name) for name in rng.permutation(names)]
    every = list(combinations(order, 2))
    return make_graph(
        [pair for pair in every if rng.random() < arrows], [pair for pair in every if rng.random() < pairs], names
    )


def random_model(graph: Graph, rng: np.random.Generator) -> RandomModel:
    """Probabilities from .1 to .9."""
    hidden = {pair: chr(ord("A") + place) for place, pair in enumerate(sorted(graph.pairs, key=sorted))}
    mechanisms = {}
    for name in graph.nodes:
        causes = "".join(graph.sorted(graph.parents[name]))
        behind = "".join(letter for pair, letter in hidden.items() if name in pair)
        one = rng.uniform(0.1, 0.9, [LEVELS] * len(causes) + [HIDDEN_LEVELS] * len(behind))
        mechanisms[name] = (causes + behind + name, np.stack([1 - one, one], axis=-1))
    return RandomModel(graph, mechanisms)


def ask_peer(python: str, questions: Sequence[Question]) -> list[dict[str, object]]:
    """y0's decisions and formulas, in its own Python. Raises EngineError where it cannot be asked."""
    script = Path(__file__).with_name("_identification_peers.py")
    with TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "questions.json", Path(folder) / "answers.json"
        asked.write_text(json.dumps([_plain(question) for question in questions]), encoding="utf-8")
        try:
            subprocess.run(
                [python, str(script), str(asked), str(answered)],
                check=True,
                capture_output=True,
                timeout=LONGEST_PEER_S,
            )
            found: list[dict[str, object]] = json.loads(answered.read_text(encoding="utf-8"))
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise EngineError(f"{python} could not be asked for y0's decisions: {error}") from error
    return found


def _plain(question: Question) -> dict[str, object]:
    return {
        "nodes": list(question.graph.nodes),
        "arrows": sorted(question.graph.arrows),
        "pairs": sorted(sorted(pair) for pair in question.graph.pairs),
        "treatments": question.treatments,
        "outcomes": question.outcomes,
        "given": question.given,
    }


def _beside(
    alone: Checked, asked: Sequence[Question], models: Sequence[RandomModel], peer: Sequence[Mapping[str, object]]
) -> Checked:
    both = [(ours, its) for ours, its in zip(alone.decided, peer, strict=True) if "failed" not in its]
    errors, lost = [], 0
    for ours, question, model, its in zip(alone.decided, asked, models, peer, strict=True):
        if its.get("identified"):
            errors.append(error_of(read_expression(its["formula"]), question, model))
            lost += not ours and errors[-1] <= TRUE_WITHIN
    return replace(
        alone,
        compared=len(both),
        differing=sum(ours != its["identified"] for ours, its in both),
        lost=lost + int(not alone.worst <= TRUE_WITHIN),
        peer_failed=len(peer) - len(both),
        peer_ms=fmean(float(str(its["ms"])) for _, its in both),
        peer_worst=max(errors, default=0.0),
        peer_wrong=sum(not error <= TRUE_WITHIN for error in errors),
    )


def read_expression(found: object) -> Expression:
    """As `_identification_peers.py` writes it: nested lists that begin with a word."""
    assert isinstance(found, list)
    match found[0]:
        case "probability":
            return Probability(tuple(found[1]), tuple(found[2]))
        case "sum":
            return summed(found[1], read_expression(found[2]))
        case "quotient":
            return quotient(read_expression(found[1]), read_expression(found[2]))
    return product(read_expression(one) for one in found[1])

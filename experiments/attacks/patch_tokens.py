"""Reads the patches of an image off the gradient of a vision transformer, and what MAE hid of it.

Exact for an update of one case, whatever the loss, with or without labels, by linear algebra alone
(`inversion/token_spans.py`). Every patch is certified by itself: wrong ones do not solve the equations. Which patches
are hidden follows from the study's seed, the round and the hospital, which whoever coordinates a study knows; where
that is of no use, as of an update of several cases, places are looked for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch
from common.learning.abilities import views
from common.learning.losses import augmented
from common.learning.parameters import trainable
from common.learning.task import Task
from common.seeding import generator as seeded
from common.study.checks import positive
from experiments.attack import Attack, Finding, Reconstruction, Sees
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.token_spans import (
    Embedding,
    Patches,
    embedding_of,
    hidden_in,
    outside_span,
    patches_in,
)
from experiments.attacks.inversion.updates import Captured, as_gradient, captured_updates, obstacle
from experiments.evidence.budget import Budget
from experiments.observation import Observation

STARTS, ITERATIONS = 6, 300
EVEN = 1e-6
"""Share of a derivative that is none: what is hidden may be as bright as it likes."""
SETTLED = 1e-9
"""Sum of squared shares of what layers are shown that may lie outside their spans: gradients are of float32."""
NO_PATCHES = "the network does not begin by cutting images into patches and comparing them"


@dataclass(frozen=True)
class PatchTokens:
    """updates: how many are attacked, those of the fewest cases first."""

    sees: ClassVar[Sees] = "sum"
    source: ClassVar[str] = "after Petrov et al. 2024, DAGER (NeurIPS), section 4.1; the hidden patches are our own"
    called: ClassVar[str] = "solving for the patches of an image"
    words: ClassVar[str] = "solves a vision transformer's gradient for the patches of an image, and where they lie"

    updates: int = 4

    def __post_init__(self) -> None:
        positive("attack", updates=self.updates)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """The image of every update in which patches were found; what was not is as bright as what was."""
        budget, captured = Budget(budget_seconds), captured_updates(observed)[: self.updates]
        if reason := obstacle(observed, captured):
            return self._impossible(observed, reason)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        found: list[Reconstruction] = []
        most, places, hidden, tried = 0, 0, 0, 0
        for one in captured:
            reader = _Reader.of(observed, one)
            if reader is None:
                return self._impossible(observed, NO_PATCHES)
            tried += 1
            patches = reader.patches(generator, budget)
            most = max(most, patches.tokens)
            if len(patches.places):
                image, painted = reader.image(patches)
                found.append(Reconstruction(one.round, one.sites, image.numpy().astype(np.float32)))
                places, hidden = places + len(patches.places), hidden + painted
            if not budget.left:
                break
        if not found:
            return self._impossible(observed, _why_none(most))
        counted = {"updates_attacked": tried, "patches_certified": places, "patches_hidden": hidden}
        return Finding(
            "patch_tokens",
            observed.observer,
            True,
            seconds=budget.spent,
            figures={name: float(count) for name, count in counted.items()},
            settings=asdict(self),
            reconstructions=tuple(found),
        )

    def _impossible(self, observed: Observation, reason: str) -> Finding:
        return Finding("patch_tokens", observed.observer, False, reason, settings=asdict(self))


@dataclass(frozen=True)
class _Last:
    """name: of the last layer. shown, answer: row by row. slope: the loss' derivative by the answer."""

    name: str
    shown: Tensor
    answer: Tensor
    slope: Tensor


@dataclass(frozen=True)
class _Reader:
    """One update, as the gradient of each parameter by name."""

    task: Task
    network: nn.Module
    gradient: dict[str, Tensor]
    embedding: Embedding
    shape: tuple[int, ...]
    known: Tensor | None

    @classmethod
    def of(cls, observed: Observation, captured: Captured) -> _Reader | None:
        victim = Victim.of(observed, captured)
        parts = victim.parts(as_gradient(captured, observed.study))
        gradient = {name: part.cpu() for (name, _), part in zip(trainable(victim.network), parts, strict=True)}
        network = victim.on(torch.device("cpu")).network.double().eval()
        embedding = embedding_of(network, observed.shape)
        if embedding is None or f"{embedding.attends}.weight" not in gradient:
            return None
        task = observed.study.build_task()
        known = _known_places(task, observed, captured, len(embedding.pixels))
        return cls(task, network, gradient, embedding, observed.shape.inputs, known)

    def patches(self, generator: torch.Generator, budget: Budget) -> Patches:
        """Those that are certain."""
        gradient = self.gradient[f"{self.embedding.attends}.weight"]
        found = patches_in(gradient, self.embedding)
        nearly = found if self.known is None else patches_in(gradient, self.embedding, self.known)
        if not len(nearly.places):
            return found
        if not len(nearly.free):
            return nearly
        settled = self._settled(nearly, generator, budget)
        return found if settled is None else settled

    def _settled(self, nearly: Patches, generator: torch.Generator, budget: Budget) -> Patches | None:
        """With what was free found by descent, so that tokens lie in the spans of later layers too; None where they
        do not come to lie there.
        """
        outsides = self._outsides()
        size = nearly.values.std()
        for start in range(STARTS):
            if start and not budget.left:
                break
            free = torch.randn(len(nearly.places), len(nearly.free), generator=generator, dtype=torch.float64)
            free = (free * size * min(start, 1)).requires_grad_(True)
            optimiser = torch.optim.LBFGS(
                [free], max_iter=ITERATIONS, line_search_fn="strong_wolfe", tolerance_grad=0, tolerance_change=0
            )

            def off(free: Tensor = free, optimiser: torch.optim.LBFGS = optimiser) -> Tensor:
                optimiser.zero_grad()
                value = self._off(nearly.values + free @ nearly.free, nearly.places, outsides)
                value.backward()  # type: ignore[no-untyped-call]
                return value

            optimiser.step(off)  # type: ignore[no-untyped-call]
            if float(off().detach()) < SETTLED:
                values = nearly.values + free.detach() @ nearly.free
                return Patches(nearly.places, values, nearly.tokens, nearly.free[:0])
        return None

    def _outsides(self) -> dict[str, Tensor]:
        """By linear layer whose gradient has a rank below its width: what projects out of the span of its inputs."""
        found = {}
        for name, module in self.network.named_modules():
            if isinstance(module, nn.Linear) and f"{name}.weight" in self.gradient:
                outside = outside_span(self.gradient[f"{name}.weight"])
                if outside is not None:
                    found[name] = outside
        return found

    def _off(self, values: Tensor, places: Tensor, outsides: dict[str, Tensor]) -> Tensor:
        """Sum over layers of the share of what they are shown that lies outside of their spans."""
        flat = torch.zeros(self.embedding.pixels.numel(), dtype=torch.float64)
        flat = flat.index_put((self.embedding.pixels[places].reshape(-1),), values.reshape(-1))
        mask = self._mask(_others(places, len(self.embedding.pixels))) or {}
        shown, _ = self._run(flat.reshape(1, *self.shape), mask)
        shares = [
            (inputs.reshape(-1, inputs.shape[-1]) @ outsides[name]).square().sum() / inputs.square().sum()
            for name, inputs, _ in shown
            if name in outsides and _rows(inputs) == inputs.shape[-1] - round(float(outsides[name].trace()))
        ]
        return torch.stack(shares).sum() if shares else 1 + 0 * values.sum()

    def image(self, patches: Patches) -> tuple[Tensor, int]:
        """(1, *shape), and how many hidden patches are in it."""
        flat = torch.full((self.embedding.pixels.numel(),), float(patches.values.mean()), dtype=torch.float64)
        flat[self.embedding.pixels[patches.places]] = patches.values
        hidden = _others(patches.places, len(self.embedding.pixels))
        values = self._hidden(flat.reshape(1, *self.shape), hidden)
        if values is None:
            return flat.reshape(1, *self.shape), 0
        flat[self.embedding.pixels[hidden]] = values
        return flat.reshape(1, *self.shape), len(hidden)

    def _hidden(self, shown: Tensor, hidden: Tensor) -> Tensor | None:
        """What the task has painted there, where it paints and its last layer tells; None elsewhere."""
        mask = self._mask(hidden)
        if mask is None:
            return None
        slopes: list[_Last] = []
        for truth in (0.0, 1.0):
            image = shown.clone().reshape(-1)
            image[self.embedding.pixels[hidden]] = truth
            found = self._painted(image.reshape(shown.shape), mask)
            if found is None:
                return None
            slopes.append(found)
        first, other = slopes
        if len(first.shown) != len(hidden) or first.slope.shape[1] != self.embedding.pixels.shape[1]:
            return None
        gradient, steps = self.gradient[f"{first.name}.weight"], first.slope - other.slope
        if float(steps.abs().max()) > EVEN * float(first.slope.abs().max()):
            return hidden_in(gradient, first.shown, first.slope, steps)
        # Each patch was to be painted less its mean and over its spread: what is even is nought whatever it is.
        scaled = hidden_in(gradient, first.shown, first.slope, first.slope / first.answer)
        seen = shown.reshape(-1)[self.embedding.pixels[_others(hidden, len(self.embedding.pixels))]]
        return None if scaled is None else scaled * seen.std(1).mean() + seen.mean()

    def _mask(self, hidden: Tensor) -> dict[str, Tensor] | None:
        """The task's one view, where it says of every patch whether it is hidden: 1 where it is."""
        names = views(self.task)
        if len(names) != 1 or not len(hidden):
            return None
        column = torch.zeros(1, len(self.embedding.pixels), dtype=torch.int64)
        column[0, hidden] = 1
        return {names[0]: column}

    def _painted(self, image: Tensor, mask: dict[str, Tensor]) -> _Last | None:
        """The last layer, where what it answers is a part of the loss."""
        try:
            layers, loss = self._run(image, mask)
            name, shown, answer = layers[-1]
            slope = torch.autograd.grad(loss, answer)[0]
        except (RuntimeError, TypeError, ValueError, LookupError):
            return None
        return _Last(name, *(one.detach().reshape(-1, one.shape[-1]) for one in (shown, answer, slope)))

    def _run(self, image: Tensor, mask: dict[str, Tensor]) -> tuple[list[tuple[str, Tensor, Tensor]], Tensor]:
        """Name, inputs and answers of every linear layer, in order, and the loss of one case."""
        seen: list[tuple[str, Tensor, Tensor]] = []

        def note(name: str) -> Any:
            return lambda module, arguments, output: seen.append((name, arguments[0], output))

        linear = [(name, one) for name, one in self.network.named_modules() if isinstance(one, nn.Linear)]
        handles = [one.register_forward_hook(note(name)) for name, one in linear]
        targets = torch.zeros(1, dtype=torch.int64)
        batch = Batch({"inputs": image, "targets": targets, "patients": ("nobody",), **mask})
        try:
            return seen, self.task.loss(self.network, batch).sum()
        finally:
            for handle in handles:
                handle.remove()


def _others(places: Tensor, count: int) -> Tensor:
    """All places but these."""
    every = torch.arange(count)
    return every[~torch.isin(every, places)]


def _rows(inputs: Tensor) -> int:
    """How many tokens: a span of fewer directions has lost some to rounding, and proves nothing."""
    return inputs.numel() // inputs.shape[-1]


def _known_places(task: Task, observed: Observation, captured: Captured, patches: int) -> Tensor | None:
    """Places that the first case of the round shows, by draws that follow from the study alone; None where unknown.

    Every place, of a task that hides none.
    """
    names = views(task)
    if not names:
        return torch.arange(patches)
    if len(names) != 1 or len(captured.sites) != 1 or observed.study.privacy is not None:
        return None
    nothing = torch.zeros(1, *observed.shape.inputs)
    batch = Batch({"inputs": nothing, "targets": torch.zeros(1, dtype=torch.int64), "patients": ("nobody",)})
    draws = seeded(observed.study.seed, captured.round, captured.sites[0], "training")
    column = augmented(task, batch, draws).columns[names[0]]
    if not isinstance(column, Tensor) or tuple(column.shape) != (1, patches) or column.dtype != torch.int64:
        return None
    return torch.nonzero(column[0] == 0)[:, 0]


def _why_none(tokens: int) -> str:
    if tokens:
        return (
            f"an update holds {tokens} patches, and none could be certified: they are of several cases, or local "
            "steps hide the gradient"
        )
    return "every update rests on more patches than can be told apart, or carries noise: its gradient has full rank"


attack: type[Attack] = PatchTokens

"""An attack of your own: what somebody could try on what a run gave away."""

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from common.learning.parameters import Layout
from experiments.attack import Attack, Finding, Reconstruction, Sees
from experiments.observation import Observation


@dataclass(frozen=True)
class Mine:
    """most: how many updates are read, the first first."""

    sees: ClassVar[Sees] = "each"
    """What it needs: every single update; "sum", a sum of them; "models" or "model", models alone."""
    source: ClassVar[str] = "the paper that it is from"
    question: ClassVar[str] = "reconstruction"
    """Which question scores it: `wardround list questions` has them all, and yours may be one of them."""
    words: ClassVar[str] = "reads a single case off the gradient of a first layer that is linear"

    most: int = 4

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Nothing is read but `observed`; all chance comes from `rng`."""
        if not observed.singles:
            return Finding("mine", observed.observer, False, "sees no single update")
        layout, size = Layout.of(observed.network()), int(np.prod(observed.shape.inputs))
        first = next(name.removesuffix("weight") for name in layout.shapes if name.endswith("weight"))
        if layout.shapes[f"{first}weight"][1:] != (size,) or f"{first}bias" not in layout.shapes:
            return Finding("mine", observed.observer, False, "the first layer is not linear")
        found = []
        for one in observed.singles[: self.most]:
            tensors = layout.tensors(one.update.mean()[0].astype(np.float32))
            weight, bias = tensors[f"{first}weight"], tensors[f"{first}bias"]
            case = weight.T @ bias / max(float(bias @ bias), 1e-30)
            inputs = case.reshape(1, *observed.shape.inputs).astype(np.float32)
            found.append(Reconstruction(one.round, (one.site,), inputs))
        return Finding("mine", observed.observer, True, settings=asdict(self), reconstructions=tuple(found))


attack: type[Attack] = Mine

# A run in which `wardround test` expects it to find something, as overrides of a study of images of 6 x 6:
easy = ("strategy=fedsgd", "training={batch_size=1}")

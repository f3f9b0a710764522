"""Where the error of models comes from that were trained on other draws of the patients: bias, variance and noise.

B models answer the same cases. Of cases with equal inputs, which any model answers alike, let t be the targets and h
the answers; then, with means over models and over these cases,

    mean (t - h)^2 = (mean t - mean h)^2 + Var(h) + Var(t)
       error       =      bias^2         + variance + noise,

exactly, since t and h are drawn independently (Geman, Bienenstock and Doursat 1992, equation 3.5). A case whose
inputs no other case has tells nothing of noise, which is then within its bias^2. Of classes, half the squared
distance of indicators is the zero-one loss, and its parts are those of Kohavi and Wolpert (1996, equations 2 to 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ImageError
from common.metrics.doors import as_reals
from common.metrics.maps import as_array, as_labels

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """Means over cases. repeated: the share of cases whose inputs another case has, which tell of noise."""

    bias_squared: float
    variance: float
    noise: float
    repeated: float = 0.0

    @property
    def error(self) -> float:
        """Their sum: the models' mean error."""
        return self.bias_squared + self.variance + self.noise


def of_numbers(answers: ArrayLike, targets: ArrayLike, inputs: ArrayLike | None = None) -> Parts:
    """Parts of the squared error.

    answers: (B, N); targets: (N,); inputs: (N, ...), by which cases are alike; None: no two are.
    """
    given, true = as_reals(answers, "answers"), as_reals(targets, "targets")
    return _parts(given[..., None], true[..., None], inputs)


def of_classes(answers: ArrayLike, targets: ArrayLike, inputs: ArrayLike | None = None) -> Parts:
    """Parts of the zero-one loss. answers: (B, N) indices of classes; targets: (N,); inputs as in `of_numbers`."""
    given, true = as_labels(answers, "answers"), as_labels(targets, "targets")
    known, codes = np.unique(np.concatenate([given.reshape(-1), true.reshape(-1)]), return_inverse=True)
    indicators = np.eye(len(known))[codes]
    of_answers, of_targets = indicators[: given.size], indicators[given.size :]
    whole = _parts(of_answers.reshape(*given.shape, len(known)), of_targets.reshape(*true.shape, len(known)), inputs)
    return Parts(whole.bias_squared / 2, whole.variance / 2, whole.noise / 2, whole.repeated)


def _parts(answers: Floats, targets: Floats, inputs: ArrayLike | None) -> Parts:
    """answers: (B, N, K), targets: (N, K)."""
    if answers.ndim != 3 or answers.shape[1:] != targets.shape or not answers.size:
        raise ImageError(f"answers (models, cases) of shape {answers.shape[:-1]} are not of {len(targets)} cases.")
    if not (np.isfinite(answers).all() and np.isfinite(targets).all()):
        raise ImageError("answers and targets must be finite numbers; some are infinite.")
    group = _groups(inputs, len(targets))
    counts = np.bincount(group)
    mean_target = _sums(targets, group) / counts[:, None]
    mean_answer = _sums(answers.mean(0), group) / counts[:, None]
    bias = ((mean_target - mean_answer) ** 2)[group].sum(1).mean()
    variance = ((answers - mean_answer[group]) ** 2).sum(2).mean()
    noise = ((targets - mean_target[group]) ** 2).sum(1).mean()
    return Parts(float(bias), float(variance), float(noise), float((counts[group] > 1).mean()))


def _groups(inputs: ArrayLike | None, count: int) -> NDArray[np.int64]:
    if inputs is None:
        return np.arange(count)
    given = as_array(inputs, "inputs")
    if given.shape[:1] != (count,):
        raise ImageError(f"inputs must be (cases, ...) of {count} cases; their shape is {given.shape}.")
    _, group = np.unique(given.reshape(count, -1), axis=0, return_inverse=True)
    return np.asarray(group, np.int64).reshape(-1)


def _sums(rows: Floats, group: NDArray[np.int64]) -> Floats:
    sums = np.zeros((int(group.max()) + 1, rows.shape[1]))
    np.add.at(sums, group, rows)
    return sums

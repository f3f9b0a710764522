"""The same questions to SciPy and statsmodels, of all rows in one place: numbers by their paths in answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from common.asking.records import Records
from experiments.benchmarks._ask_table import LEVELS

Found = Mapping[str, float]


@dataclass(frozen=True)
class Peer:
    """name: of the library. found: what it says, by the path of the number in the answer."""

    name: str
    found: Callable[[Records], Found]


def _column(rows: Records, name: str = "age") -> Any:
    return rows.numbers(name)


def _groups(rows: Records, column: str, by: str) -> list[Any]:
    return [rows.numbers(column)[rows.words(by) == level] for level in LEVELS[by]]


def _counts(rows: Records) -> Any:
    return np.array(
        [
            [np.sum((rows.words("ward") == a) & (rows.words("disease") == b)) for b in ("0", "1")]
            for a in LEVELS["ward"]
        ]
    )


def _mean(rows: Records) -> Found:
    x = _column(rows)
    low, high = stats.t.interval(0.95, len(x) - 1, np.mean(x), stats.sem(x))
    return {"mean": np.mean(x), "variance": np.var(x, ddof=1), "low": low, "high": high}


def _variance(rows: Records) -> Found:
    return {"variance": np.var(_column(rows), ddof=1)}


def _quantiles(rows: Records) -> Found:
    shares = (0.25, 0.5, 0.75)
    return {f"quantiles.{share}.value": np.quantile(_column(rows), share) for share in shares}


def _tested(said: Any) -> Found:
    return {"statistic": said[0], "p_value": said[1]}


def _chi_squared(rows: Records) -> Found:
    return _tested(stats.chi2_contingency(_counts(rows), correction=False))


def _auc(rows: Records) -> Found:
    one, zero = _column(rows)[rows.words("disease") == "1"], _column(rows)[rows.words("disease") == "0"]
    return {"auc": stats.mannwhitneyu(one, zero).statistic / (len(one) * len(zero))}


def _correlation(rows: Records) -> Found:
    return {"pairs.0.correlation": stats.pearsonr(_column(rows), _column(rows, "weight"))[0]}


def _design(rows: Records) -> Any:
    return np.column_stack([np.ones(len(rows)), _column(rows), rows.words("sex") == "male"]).astype(float)


def _fitted(fit: Any) -> Found:
    names = ("intercept", "age")
    found = {f"coefficients.{name}.estimate": fit.params[k] for k, name in enumerate(names)}
    return found | {f"coefficients.{name}.standard_error": fit.bse[k] for k, name in enumerate(names)}


def _linear(rows: Records) -> Found:
    import statsmodels.api as sm

    return _fitted(sm.OLS(_column(rows, "weight"), _design(rows)).fit())


def _generalised(outcome: str, family: str) -> Callable[[Records], Found]:
    def found(rows: Records) -> Found:
        import statsmodels.api as sm

        model = sm.GLM(_column(rows, outcome), _design(rows), family=getattr(sm.families, family)())
        return _fitted(model.fit(tol=1e-14, maxiter=100))

    return found


def _cox(rows: Records) -> Found:
    import statsmodels.api as sm

    model = sm.PHReg(_column(rows, "months"), _design(rows)[:, 1:], _column(rows, "died"), ties="efron")
    fit = model.fit(tol=1e-12)
    return {"coefficients.age.estimate": fit.params[0], "coefficients.age.standard_error": fit.bse[0]}


def _logrank(rows: Records) -> Found:
    from statsmodels.duration.survfunc import survdiff

    statistic, p = survdiff(_column(rows, "months"), _column(rows, "died"), rows.words("sex"))
    return {"statistic": statistic, "p": p}


SCIPY, STATSMODELS = "SciPy", "statsmodels"
PEERS: Mapping[str, Peer] = {
    "mean": Peer(SCIPY, _mean),
    "variance": Peer(SCIPY, _variance),
    "quantiles": Peer(SCIPY, _quantiles),
    "median": Peer(SCIPY, lambda rows: {"median": np.median(_column(rows))}),
    "chi_squared": Peer(SCIPY, _chi_squared),
    "auc": Peer(SCIPY, _auc),
    "correlation": Peer(SCIPY, _correlation),
    "anova": Peer(SCIPY, lambda rows: _tested(stats.f_oneway(*_groups(rows, "age", "ward")))),
    "ttest": Peer(SCIPY, lambda rows: _tested(stats.ttest_ind(*_groups(rows, "age", "sex"), equal_var=False))),
    "paired_ttest": Peer(
        SCIPY, lambda rows: _tested(stats.ttest_rel(_column(rows, "before"), _column(rows, "after")))
    ),
    "mann_whitney": Peer(SCIPY, lambda rows: _tested(stats.mannwhitneyu(*_groups(rows, "pain", "sex")))),
    "kruskal_wallis": Peer(SCIPY, lambda rows: _tested(stats.kruskal(*_groups(rows, "pain", "ward")))),
    "kolmogorov_smirnov": Peer(SCIPY, lambda rows: _tested(stats.ks_2samp(*_groups(rows, "age", "sex")))),
    "levene": Peer(SCIPY, lambda rows: _tested(stats.levene(*_groups(rows, "age", "sex"), center="median"))),
    "linear": Peer(STATSMODELS, _linear),
    "logistic": Peer(STATSMODELS, _generalised("disease", "Binomial")),
    "poisson": Peer(STATSMODELS, _generalised("visits", "Poisson")),
    "cox": Peer(STATSMODELS, _cox),
    "logrank": Peer(STATSMODELS, _logrank),
}


def furthest(numbers: Mapping[str, Any], found: Found) -> float:
    """The largest difference of an answer's numbers from a peer's, relative where it is above 1."""
    return max(abs(_at(numbers, path) - value) / max(abs(value), 1.0) for path, value in found.items())


def _at(numbers: Any, path: str) -> float:
    """`a.b` in nested tables and lists; names may hold dots themselves."""
    if not path:
        return float(numbers)
    if isinstance(numbers, list | tuple):
        head, _, rest = path.partition(".")
        return _at(numbers[int(head)], rest)
    name = max((one for one in numbers if path == one or path.startswith(f"{one}.")), key=len)
    return _at(numbers[name], path[len(name) + 1 :])

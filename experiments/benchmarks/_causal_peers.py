"""Runs beside other libraries, in their own Python: NHEFS and LaLonde's data, and what DoWhy and statsmodels find.

Called as `python _causal_peers.py RESULTS.json`; imports nothing of this project. The data are in the package
causaldata.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

NHEFS = (
    "seqn", "qsmk", "wt82_71", "sex", "race", "age", "education", "smokeintensity", "smokeyrs", "exercise", "active",
    "wt71",
)  # fmt: skip
SQUARED = ("age", "smokeintensity", "smokeyrs", "wt71")
WORDS = ("education", "exercise", "active")
LALONDE = ("treat", "age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75", "re78")


def nhefs_frame() -> Any:
    from causaldata import nhefs_complete

    return nhefs_complete.load_pandas().data[list(NHEFS)].astype(float)


def lalonde_frames() -> dict[str, Any]:
    from causaldata import cps_mixtape, nsw_mixtape

    trial = nsw_mixtape.load_pandas().data[list(LALONDE)].astype(float)
    survey = cps_mixtape.load_pandas().data[list(LALONDE)].astype(float)
    return {"trial": trial, "survey": survey}


def dowhy_ipw(frame: Any) -> dict[str, float]:
    """Hajek's weighting of NHEFS by DoWhy, on all rows in one place."""
    import pandas as pd
    import statsmodels.api as sm
    from dowhy import CausalModel

    data = pd.get_dummies(frame.drop(columns="seqn"), columns=list(WORDS), drop_first=True, dtype=float)
    for name in SQUARED:
        data[f"{name}_squared"] = data[name] ** 2
    causes = [name for name in data.columns if name not in ("qsmk", "wt82_71")]
    begin = time.perf_counter()
    x = sm.add_constant(data[causes].to_numpy())
    data["propensity_score"] = sm.Logit(data["qsmk"].to_numpy(), x).fit(disp=0).predict(x)
    data["qsmk"] = data["qsmk"].astype(bool)
    model = CausalModel(data=data, treatment="qsmk", outcome="wt82_71", common_causes=causes)
    found = model.estimate_effect(
        model.identify_effect(proceed_when_unidentifiable=True),
        method_name="backdoor.propensity_score_weighting",
        method_params={"weighting_scheme": "ips_stabilized_weight", "propensity_score_column": "propensity_score"},
    )
    return {"estimate": float(found.value), "seconds": time.perf_counter() - begin}


def dowhy_regression(frame: Any) -> dict[str, float]:
    """Standardisation of NHEFS by DoWhy's linear regression."""
    import pandas as pd
    from dowhy import CausalModel

    data = pd.get_dummies(frame.drop(columns="seqn"), columns=list(WORDS), drop_first=True, dtype=float)
    for name in SQUARED:
        data[f"{name}_squared"] = data[name] ** 2
    causes = [name for name in data.columns if name not in ("qsmk", "wt82_71")]
    begin = time.perf_counter()
    model = CausalModel(data=data, treatment="qsmk", outcome="wt82_71", common_causes=causes)
    found = model.estimate_effect(
        model.identify_effect(proceed_when_unidentifiable=True), method_name="backdoor.linear_regression"
    )
    return {"estimate": float(found.value), "seconds": time.perf_counter() - begin}


def main(results: Path) -> None:
    warnings.simplefilter("ignore")
    nhefs, lalonde = nhefs_frame(), lalonde_frames()
    found: dict[str, Any] = {
        "nhefs": {name: nhefs[name].tolist() for name in NHEFS},
        "lalonde": {place: {name: frame[name].tolist() for name in LALONDE} for place, frame in lalonde.items()},
    }
    for name, work in (("dowhy ipw", dowhy_ipw), ("dowhy regression", dowhy_regression)):
        try:
            found[name] = work(nhefs)
        except Exception as error:  # noqa: BLE001 a peer that fails is one that was not measured
            found[name] = {"error": f"{type(error).__name__}: {error}"}
    results.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

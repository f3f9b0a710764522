"""What Flower's strategies are called here, for whoever comes from there."""

from __future__ import annotations

_STRATEGIES = {
    "FedMedian": "median",
    "FedTrimmedAvg": "trimmed_mean",
    "MultiKrum": "krum",
    "FedOpt": "fedadam",
}
_OTHERWISE = {
    "MultiKrum": "strategy 'krum' with multi, how many are averaged",
    "FedXgbBagging": "nothing: what is learned are networks, no trees",
    "FedXgbCyclic": "nothing: what is learned are networks, no trees",
    "DifferentialPrivacyClientSideFixedClipping": "privacy = 'hospital' beside a strategy of sums",
    "DifferentialPrivacyServerSideFixedClipping": "privacy = 'hospital' beside a strategy of sums",
    "DifferentialPrivacyClientSideAdaptiveClipping": "privacy = 'hospital', with adaptive = true",
    "DifferentialPrivacyServerSideAdaptiveClipping": "privacy = 'hospital', with adaptive = true",
}


def flowers_word(kind: str, name: str) -> str:
    """How a strategy of Flower's is asked for here, in words; "" where it is none, or has the same name."""
    if kind != "strategy":
        return ""
    folded = {one.lower(): one for one in (*_STRATEGIES, *_OTHERWISE)}
    known = folded.get(name.lower().replace("_", "").replace("-", ""))
    if known is None:
        return ""
    here = _OTHERWISE.get(known) or f"strategy {_STRATEGIES[known]!r}"
    return f"Flower's {known} is {here}."

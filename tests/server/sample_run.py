"""Plausible run folders, as a run would write them, for tests of the report."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CITIES = ("Aarhus", "Bergen", "Coimbra", "Dresden", "Eindhoven", "Florence", "Ghent", "Heidelberg")
STUDY = """title = "Brain tissue in five scanners"
rounds = 24
seed = 7
engine = "processes"

[source]
name = "brain_phantoms"

[task]
name = "segmentation"

[strategy]
name = "fedavg"
"""


def site_names(number: int) -> list[str]:
    """City names, then numbered hospitals."""
    return [CITIES[k] if k < len(CITIES) and number <= len(CITIES) else f"hospital-{k:03d}" for k in range(number)]


def write_sample(
    folder: Path,
    sites: Sequence[str] = CITIES[:5],
    rounds: int = 24,
    classes: Sequence[str] = ("background", "fluid", "grey matter", "white matter"),
    pictures: bool = True,
    fraction: float = 1.0,
    reveals: str = "each",
    state: str = "completed",
    reason: str = "",
    seed: int = 0,
) -> Path:
    """Write every file of a run folder but the model; `folder` is made."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    skills = {site: float(rng.uniform(0.78, 0.92)) for site in sites}
    records = [_round(rng, t, sites, skills, fraction) for t in range(1, rounds + 1)]
    _dump(folder / "about.json", _about(rounds, reveals, state, reason))
    _dump(folder / "roster.json", _roster(rng, sites, classes))
    (folder / "study.toml").write_text(STUDY.replace("= 24", f"= {max(rounds, 24)}"), encoding="utf-8")
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "rounds.jsonl").write_text(lines, encoding="utf-8")
    _dump(folder / "traffic.json", _traffic(sites, rounds))
    if state == "completed":
        _dump(folder / "final.json", {split: _scores(rng, skills, 0.0) for split in ("validation", "test")})
        _dump(folder / "baselines.json", _baselines(rng, skills))
    if pictures:
        _dump(folder / "pictures.json", [_picture(rng, site, k) for k, site in enumerate(sites)])
    return folder


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, allow_nan=False), encoding="utf-8")


def _about(rounds: int, reveals: str, state: str, reason: str) -> dict[str, Any]:
    return {
        "study": "demo",
        "title": "Brain tissue in five scanners",
        "description": "Five hospitals with different scanners learn to mark fluid, grey and white matter.",
        "engine": "processes",
        "seed": 7,
        "versions": {"wardround": "0.1.0", "python": "3.11.7", "flwr": "1.41.0", "torch": "2.13.0"},
        "started": "2026-03-02T09:14:05+00:00",
        "seconds": 221.4,
        "state": state,
        "reason": reason,
        "rounds_done": rounds,
        "model_sha256": sha256(b"model").hexdigest(),
        "parameters": 118_276,
        "headline": "dice",
        "task": "segmentation",
        "strategy": "fedavg",
        "aggregation": "plain" if reveals == "each" else "secagg",
        "reveals": reveals,
        "source": "brain_phantoms",
        "time": {"start": 9.2, "training": 151.0, "evaluation": 33.1, "waiting": 21.7, "server": 2.1},
    }


def _roster(rng: np.random.Generator, sites: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    entries = []
    for site in sites:
        train = int(rng.integers(24, 160))
        sizes = {"train": train, "validation": train // 6 + 1, "test": train // 3 + 1}
        weights = rng.dirichlet(np.full(len(classes), 4.0))
        if classes[0] == "background":
            weights = np.concatenate([[0.62], 0.38 * weights[1:] / weights[1:].sum()])
        shares = {name: float(share) for name, share in zip(classes, weights, strict=True)}
        patients = {split: math.ceil(number / 2) for split, number in sizes.items()}
        entries.append(
            {"site": site, "cases": sizes, "patients": patients, "quarantined": int(train % 3 == 0), "labels": shares}
        )
    skew = {"label_divergence": 0.041, "size_gini": 0.287}
    return {"sites": entries, "skew": skew, "partition": None, "shape": [1, 64, 64], "classes": list(classes)}


def _round(
    rng: np.random.Generator, t: int, sites: Sequence[str], skills: dict[str, float], fraction: float
) -> dict[str, Any]:
    number = max(1, round(fraction * len(sites)))
    selected = sorted(str(site) for site in rng.choice(list(sites), number, replace=False))
    dropped = [_drop(site, t) for k, site in enumerate(selected) if (t * 7 + k * 3) % 23 == 0 and number > 1]
    lost = {drop["site"] for drop in dropped}
    contributed = [site for site in selected if site not in lost]
    times = {site: 3.0 + 4.0 * skills[site] + float(rng.normal(0, 0.1)) for site in contributed}
    evaluation: dict[str, Any] = {"of_round": t - 1, "split": "validation"}
    evaluation |= _scores(rng, skills, 0.75 * math.exp(-(t - 1) / 6))
    return {
        "round": t,
        "selected": selected,
        "contributed": contributed,
        "dropped": dropped,
        "weights": {site: 40 + len(site) for site in contributed},
        "training": {
            site: {"loss": 0.1 + 1.3 * math.exp(-t / 5) + float(rng.normal(0, 0.01))} for site in contributed
        },
        "evaluation": evaluation,
        "seconds": {"total": 8.4, "exchange": 8.1, "step": 0.1},
        "site_seconds": times,
        "bytes": {"sent": 473_104 * number, "received": 473_104 * len(contributed)},
    }


def _drop(site: str, t: int) -> dict[str, str]:
    reasons = (
        "no reply within 60 s.",
        "incident 3fa9c1d2: ask the hospital.",
        "the array holds values that are not finite.",
    )
    return {"site": site, "leg": "round", "reason": reasons[t % 3]}


def _scores(rng: np.random.Generator, skills: dict[str, float], missing: float) -> dict[str, Any]:
    sites = {}
    for site, skill in skills.items():
        dice = max(0.02, skill - missing + float(rng.normal(0, 0.008)))
        sites[site] = {
            "loss": 1.1 - dice,
            "dice": dice,
            "dice_grey_matter": dice - 0.03,
            "dice_white_matter": dice + 0.02,
        }
    pooled = {
        name: float(np.mean([scores[name] for scores in sites.values()])) for name in next(iter(sites.values()))
    }
    return {"sites": sites, "pooled": pooled}


def _baselines(rng: np.random.Generator, skills: dict[str, float]) -> dict[str, Any]:
    local = {site: {"dice": skill - 0.08 + float(rng.normal(0, 0.05))} for site, skill in skills.items()}
    pooled = {site: {"dice": skill + 0.02 + float(rng.normal(0, 0.01))} for site, skill in skills.items()}
    both = {"local": local, "pooled": pooled}
    means = {f"{name}_all": {"dice": float(np.mean([s["dice"] for s in one.values()]))} for name, one in both.items()}
    return {**both, **means, "seconds": {"local": 41.2, "pooled": 37.9}}


def _traffic(sites: Sequence[str], rounds: int) -> dict[str, Any]:
    n = len(sites)
    rows = (
        ("hello", "to hospital", "study", n, 1_410 * n),
        ("hello", "to server", "description", n, 612 * n),
        ("round", "to hospital", "model", n * rounds, 474_310 * n * rounds),
        ("round", "to server", "update", n * rounds, 473_620 * n * rounds),
        ("round", "to server", "evaluation", n * rounds, 388 * n * rounds),
        ("round", "to server", "incident", 2, 188),
        ("evaluate", "to hospital", "model", n, 474_310 * n),
        ("evaluate", "to server", "evaluation", n, 702 * n),
    )
    keys = ("leg", "direction", "content", "messages", "bytes")
    kinds = [dict(zip(keys, row, strict=True)) for row in rows]
    share = {site: 1 - 0.03 * (k % 5) for k, site in enumerate(sites)}
    moved = {
        site: {"sent": int(474_310 * rounds * part), "received": int(474_620 * rounds * part)}
        for site, part in share.items()
    }
    return {"kinds": kinds, "sites": moved}


def _picture(rng: np.random.Generator, site: str, k: int) -> dict[str, Any]:
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    radius = np.hypot(x * (1.1 + 0.05 * k), y)
    truth = np.digitize(radius, [0.3, 0.6, 0.85])
    found = np.digitize(radius + rng.normal(0, 0.02, radius.shape), [0.32, 0.58, 0.84])
    image = np.choose(truth, [230, 150 - 12 * k, 90, 8]) + rng.normal(0, 9, truth.shape)
    shades = np.array([[240, 228, 66], [86, 180, 233], [0, 114, 178], [0, 0, 0]], dtype=np.uint8)
    pictures = {"image": np.clip(image, 0, 255).astype(np.uint8), "truth": shades[truth], "prediction": shades[found]}
    uris = {name: _png_uri(pixels) for name, pixels in pictures.items()}
    return {"site": site, "patient": f"patient-{k}", "score": float(0.9 - 0.02 * k), **uris}


def _png_uri(pixels: np.ndarray[Any, Any]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

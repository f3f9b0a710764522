"""Pages of condition number and noise gain: their curves, and pictures that anybody can read."""

import re
import xml.etree.ElementTree as ET

import pytest

from experiments.conditioning import page
from experiments.conditioning.curves import Shown, curve, shares
from experiments.conditioning.log_axes import log_axes


def test_a_curve_is_over_shares_of_the_squared_norm() -> None:
    found = curve(Shown("denoising", (1, 4, 4)), [0.5, 1.0])
    assert (
        found.exact
        and found.largest == 1
        and [point.noise_gain for point in found.points] == pytest.approx([2 / 3, 0.5])
    )
    assert shares()[0] == pytest.approx(1e-6) and shares()[-1] == pytest.approx(100)


def test_a_line_of_slope_one_runs_across_decades() -> None:
    drawn = log_axes({"straight": [(1e-3, 1e-3), (1.0, 1.0)], "nothing": [(0.0, 0.0)]}, "weight", "title & more")
    tree = ET.fromstring(str(drawn))
    words = [one.text for one in tree.iter() if one.tag.endswith("text")]
    assert "title & more" in words and "10⁻³" in words and "1" in words and "straight" in words
    (x0, y0), (x1, y1) = re.findall(
        r"([\d.]+) ([\d.]+)", next(p.get("d") for p in tree.iter() if p.tag.endswith("path"))
    )
    assert float(x0) < float(x1) and float(y0) > float(y1)


def test_the_page_has_its_pictures(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(page, "SHOWN", (Shown("denoising", (1, 4, 4)), Shown("blur", (1, 16, 16), {}, "a blur")))
    page.write(tmp_path)
    text = (tmp_path / "conditioning.md").read_text()
    for name in re.findall(r"\]\((.*?\.svg)\)", text):
        ET.parse(tmp_path / name)
    assert text.count(".svg)") == 3 and "| a blur | 1 |" in text

"""A self-contained page of panels: pictures with names, notes and scales, a row a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from common.learning.panels import Panel
from experiments.running.gallery import picture_url
from experiments.running.windowed_panels import pixels_of

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1b1f24; }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(48%, 200px), 1fr)); gap: 14px 8px; }
figure { margin: 0; } figcaption { color: #57606a; font-size: 13px; text-align: center; }
img { image-rendering: pixelated; display: block; width: 100%; background: #484848; }
table { border-collapse: collapse; font-size: 14px; margin: 0 0 1.2rem; }
td, th { border-bottom: 1px solid #d0d7de; padding: 3px 14px 3px 0; text-align: left; font-weight: normal; }
th { color: #57606a; }
"""
KEY = (
    "Images share one window of grey; an error map is black where there is no error, and pale from the number below "
    "it on. Of volumes the three planes through the middle."
)


def page(title: str, cases: Sequence[tuple[str, Mapping[str, Panel]]], table: Mapping[str, str] | None = None) -> str:
    """HTML of (name, panels) cases. table: what is said above them."""
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(text)}</td></tr>" for key, text in (table or {}).items())
    body = "".join(
        f'{f"<h2>{escape(name)}</h2>" if name else ""}<div class="row">{"".join(_figures(panels))}</div>'
        for name, panels in cases
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1>{f'<table>{rows}</table>' if rows else ''}<p>{KEY}</p>{body}</html>\n"
    )


def _figures(panels: Mapping[str, Panel]) -> list[str]:
    return [
        f'<figure><img alt="{escape(name)}" src="{picture_url(pixels_of(panel, name))}"><figcaption>{escape(name)}'
        f"<br>{escape(panel.note)}</figcaption></figure>"
        for name, panel in panels.items()
    ]

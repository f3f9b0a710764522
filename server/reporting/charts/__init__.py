"""Charts as inline SVG. Values are legible without a script; hovering shows them all."""

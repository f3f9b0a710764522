"""The hospital's half: its cases, its training, its answers."""

from common import __version__ as __version__

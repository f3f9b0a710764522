"""The coordinator's half: rounds, strategies, records."""

from common import __version__ as __version__

"""The public door: what a person who writes Python needs of this project, and nothing else."""

from common import __version__ as __version__

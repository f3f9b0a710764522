"""Asking hospitals what is no model: the role of an analysis, what it adds up, and what it answers."""

from common.asking.analysis import Analysis as Analysis
from common.asking.analysis import Public as Public
from common.asking.analysis import Query as Query
from common.asking.answer import Answer as Answer
from common.asking.answer import Figure as Figure
from common.asking.answer import Series as Series
from common.asking.answer import Table as Table
from common.asking.exact_sums import Part as Part
from common.asking.exact_sums import Total as Total
from common.asking.exact_sums import counts as counts
from common.asking.exact_sums import exact_products as exact_products
from common.asking.exact_sums import exact_sum as exact_sum
from common.asking.exact_sums import exact_sums_by as exact_sums_by
from common.asking.exact_sums import reals as reals
from common.asking.noise import SumNoise as SumNoise
from common.asking.noise_law import NoiseLaw as NoiseLaw
from common.asking.records import Records as Records

"""Models compared: the same data and budget for several recipes, measured, in one table that says how."""

from regard.evaluation.compare.candidates import Candidate, differences, read_candidates
from regard.evaluation.compare.entries import Entry, Measured
from regard.evaluation.compare.measuring import compare
from regard.evaluation.compare.report import write_comparison

__all__ = ["Candidate", "Entry", "Measured", "compare", "differences", "read_candidates", "write_comparison"]

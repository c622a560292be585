"""Evidence for what a model writes: whether its weights are its reasons, and how often it is right.

measure_words(...)      what becomes of every word without what it looked at
fit_logistic(...)       calibrated probabilities, see :mod:`regard.evidence.calibration`
ReferenceWords(...)     whether a word is in what people wrote, in any form
Aligner(...)            a word aligner of another kind, to hold attention against
"""

from __future__ import annotations

from regard.evidence.aligner import Aligner, symmetrise
from regard.evidence.calibration import Calibration, Logistic, fit_logistic
from regard.evidence.erasure import Written
from regard.evidence.measurement import measure_words
from regard.evidence.reference_words import ReferenceWords

__all__ = [
    "Aligner",
    "Calibration",
    "Logistic",
    "ReferenceWords",
    "Written",
    "fit_logistic",
    "measure_words",
    "symmetrise",
]

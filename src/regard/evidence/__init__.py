"""Evidence for what a model writes: whether its weights are its reasons, and how often it is right.

measurement.py       what becomes of every word without what it attended to; erasure.py forces the words
calibration.py       probabilities that say how often words and captions are right
reference_words.py   whether a word is in what people wrote, in any form
aligner.py           a word aligner of another kind, to compare attention with
"""

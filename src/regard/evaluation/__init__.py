"""Evaluation of saved models: scores, word alignments, comparisons, quality by length, lexicons."""

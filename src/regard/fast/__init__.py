"""Fused twins of the plain decoders and encoders; each gives the same numbers as the plain path."""

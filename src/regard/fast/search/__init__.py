"""Incremental decoders for search; chosen by :func:`regard.fast.for_search`.

Each is made from a decoder once, and serves until the decoder's parameters change.
"""

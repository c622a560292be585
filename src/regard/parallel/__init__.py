"""Several processes that share the work."""

"""Teacher-forced passes over whole targets, fused; chosen by :func:`regard.fast.for_training`."""

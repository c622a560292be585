"""Teacher-forced passes over whole targets, fused."""

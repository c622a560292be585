"""Whether attention weights are faithful to what the model computes."""

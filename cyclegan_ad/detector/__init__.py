"""The saved detector: weights, preprocessing and thresholds."""

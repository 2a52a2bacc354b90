"""Thresholds, protocols with their bounds, localisation."""

"""Exported detectors: one graph from the pixels of an image to the decision."""

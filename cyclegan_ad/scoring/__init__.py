"""Anomaly scores and maps from images and their reconstructions."""

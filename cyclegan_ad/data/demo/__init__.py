"""Draws the demo set."""

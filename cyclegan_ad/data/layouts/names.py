"""Names of layouts; without NumPy, for the settings."""

OWN_LAYOUTS = ("folder", "mvtec_like")
"""Layouts of a user's own images, of which usual names and spellings are understood."""

"""A run on disk: its directory and lock, its start, its results."""

"""A run on disk: its place and lock, what it begins with, what it holds."""

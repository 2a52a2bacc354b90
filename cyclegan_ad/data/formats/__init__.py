"""Decoding of image files by format."""

"""Finds runs and reads them."""

"""The saved detector."""

"""Figures and settings of the paper."""

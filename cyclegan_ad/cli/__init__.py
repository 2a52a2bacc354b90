"""Typed words in, checked settings out: Hydra, its error messages, sweeps, checks before torch."""

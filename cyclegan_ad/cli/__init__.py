"""Command line: Hydra, its error messages, sweeps, and checks before torch is loaded."""

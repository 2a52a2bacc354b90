"""What ``python -m experiments.benchmark`` measures, and how its results are shown."""

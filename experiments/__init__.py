"""The paper's results, one module each; run from a checkout: ``python -m experiments.table1``."""

"""Several processes for one job: the launcher and the worker."""

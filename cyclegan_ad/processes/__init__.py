"""Several processes for one job: started together, watched, and what each of them does."""

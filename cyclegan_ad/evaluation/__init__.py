"""The test set: score, decide, write; and stored results read again."""

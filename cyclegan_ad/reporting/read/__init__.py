"""Find and read runs."""

"""Output for people: terminal and pictures."""

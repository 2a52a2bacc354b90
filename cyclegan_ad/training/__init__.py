"""Training of a method with Lightning: fit, speed, progress, snapshots."""

"""The fit: Lightning, processes, speed, progress, snapshots."""

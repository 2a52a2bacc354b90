"""Experiment tracking: W&B, TensorBoard, CSV."""

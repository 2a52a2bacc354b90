"""W&B, TensorBoard, CSV."""

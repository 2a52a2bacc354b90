"""From files on disk to batches: samples, split, decoded images, augmentation."""

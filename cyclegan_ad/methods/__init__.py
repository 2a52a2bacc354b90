"""One LightningModule a method."""

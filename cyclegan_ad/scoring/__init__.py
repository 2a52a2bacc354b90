"""Images and reconstructions to scores and maps."""

"""Image files to pixels, for each format what it means."""

"""Layouts of datasets: labels, kinds and masks of the images of a folder."""

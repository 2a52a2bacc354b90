"""What all pictures share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from cyclegan_ad.display.drawing import save_figure, to_display


def test_the_ends_of_the_range_become_black_and_white() -> None:
    image = torch.tensor([-1.0, 0.0, 1.0, 3.0]).reshape(1, 2, 2)
    assert to_display(image).tolist() == [[0, 128], [255, 255]]


def test_channels_go_last() -> None:
    image = np.full((3, 2, 4), -1.0)
    image[2] = 1.0
    pixels = to_display(image)
    assert pixels.shape == (2, 4, 3)
    assert pixels[0, 0].tolist() == [0, 0, 255]


def test_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="C, H, W"):
        to_display(np.zeros((1, 1, 2, 2)))


def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(self: Figure, file: Path, **kwargs: object) -> None:
        Path(file).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save_figure(Figure(), path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"

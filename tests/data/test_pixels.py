"""Images from the store of bytes to batches of numbers."""

import numpy as np
import torch

from cyclegan_ad.data.unpaired_batches import PairedImages, gather, to_signed_range

STORE = np.arange(4 * 2 * 3 * 3, dtype=np.uint8).reshape(4, 2, 3, 3)  # (N, H, W, C)


def test_range_of_pixels() -> None:
    pixels = torch.tensor([0, 51, 127, 128, 255], dtype=torch.uint8)
    expected = torch.tensor([-1.0, -0.6, -1 / 255, 1 / 255, 1.0])
    torch.testing.assert_close(to_signed_range(pixels), expected)


def test_numbers_that_are_scaled_already_stay_as_they_are() -> None:
    numbers = torch.tensor([0.0, 255.0])
    assert to_signed_range(numbers).tolist() == [-1.0, 1.0]
    assert numbers.tolist() == [0.0, 255.0]


def test_images_come_in_the_given_order_channels_first() -> None:
    images = gather(STORE, np.array([2, 0, 2]))
    assert images.shape == (3, 3, 2, 3) and images.dtype == torch.uint8
    assert images.is_contiguous()
    for image, i in zip(images, (2, 0, 2), strict=True):
        np.testing.assert_array_equal(image.numpy(), STORE[i].transpose(2, 0, 1))
    images.zero_()
    assert STORE[2].any()  # a copy, or the store would change


def test_drawn_images_are_found_by_their_rows() -> None:
    rows = np.array([0, 2, 3])  # the file of row 1 could not be read
    drawn = {"normal": np.array([1, 2]), "normal_symmetry": np.array([5, 0])}
    batch = PairedImages(STORE, rows)[drawn]
    assert batch.keys() == drawn.keys()
    assert torch.equal(batch["normal"], gather(STORE, np.array([2, 3])))
    assert batch["normal_symmetry"].tolist() == [5, 0]
    assert batch["normal_symmetry"].dtype == torch.int64

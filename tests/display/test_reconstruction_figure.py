"""Pictures of reconstructions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.display.drawing import save_figure
from cyclegan_ad.display.reconstruction_figure import reconstruction_figure

LABELS = [1, 0, 1]
CAPTIONS = ["a.png", "b.png", "c.png"]


def pictures(channels: int = 1) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    images = generator.uniform(-1, 1, (3, channels, 16, 16)).astype(np.float32)
    return images, generator.uniform(0, 1, (3, 16, 16)).astype(np.float32)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Collect the figures instead of saving them."""
    collected: list[Figure] = []

    def keep(figure: Figure, path: Path) -> Path:
        collected.append(figure)
        return path

    monkeypatch.setattr("cyclegan_ad.display.reconstruction_figure.save_figure", keep)
    return collected


def test_normal_columns_come_first_with_three_rows_each(kept: list[Figure]) -> None:
    images, maps = pictures()
    reconstruction_figure(images, -images, maps, LABELS, CAPTIONS, Path("x.png"))
    tiles = kept[0].axes[:-1]
    assert len(tiles) == 9
    assert [t.get_xlabel() for t in tiles if t.get_xlabel()] == ["b.png", "a.png", "c.png"]
    assert [t.get_ylabel() for t in tiles[:3]] == ["Image", "Reconstruction", "Anomaly map"]
    assert [t.get_text() for t in kept[0].texts] == ["Normal", "Abnormal"]
    shown = tiles[2].images[0].get_array()
    assert shown is not None
    np.testing.assert_array_equal(shown, maps[1])


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("$\\frac{$.jpg", "$\\frac{$.jpg"),
        ("price_$5_vs_$6.png", "price_$5_vs_$6.png"),
        ("pi\udce8ce.png", "pi\\udce8ce.png"),
        ("a\r\x1b[1m\u202eb.png", "a\\r\\x1b[1m\\u202eb.png"),
        ("\u65e5.png", "\\u65e5.png"),  # no sign of the font, which would be drawn as a box
        ("k/" + 30 * "x" + "\udce85.png", "..." + 10 * "x" + "\\udce85.png"),
    ],
)
def test_names_of_files_are_drawn_as_they_are(
    name: str, drawn: str, kept: list[Figure], tmp_path: Path
) -> None:
    images, maps = pictures()
    reconstruction_figure(images, images, maps, LABELS, ["a", name, "c"], Path("x.png"))
    (label,) = [t.xaxis.label for t in kept[0].axes[:-1] if t.get_xlabel() not in ("", "a", "c")]
    assert (label.get_text(), label.get_parse_math()) == (drawn, False)
    assert len(drawn) <= 24
    save_figure(kept[0], tmp_path / "x.png")  # matplotlib refuses what it cannot draw here


def test_all_maps_share_one_scale_and_grey_images_the_full_range(kept: list[Figure]) -> None:
    images, maps = pictures()
    maps[2] *= 100
    reconstruction_figure(images, images, maps, LABELS, CAPTIONS, Path("x.png"))
    tiles = kept[0].axes[:-1]
    limits = {tile.images[0].get_clim() for tile in tiles[2::3]}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low == 0
    assert maps[:2].max() < high <= maps[2].max()
    assert {(t.images[0].get_clim(), t.images[0].get_cmap().name) for t in tiles[::3]} == {
        ((0, 255), "gray")
    }


def test_masks_are_outlined_in_image_and_map_only(kept: list[Figure]) -> None:
    images, maps = pictures(channels=3)
    masks = np.zeros((3, 16, 16), bool)
    masks[0, :4, :4] = True
    reconstruction_figure(images, images, maps, LABELS, CAPTIONS, Path("x.png"), masks=masks)
    outlined = [bool(tile.collections) for tile in kept[0].axes[:-1]]
    assert outlined == [False] * 3 + [True, False, True] + [False] * 3
    assert "Outline" in kept[0].texts[-1].get_text()


def test_a_method_without_reconstructions_has_two_rows(kept: list[Figure]) -> None:
    images, maps = pictures()
    masks = np.zeros((3, 16, 16), bool)
    masks[0, :4, :4] = True
    reconstruction_figure(images, None, maps, LABELS, CAPTIONS, Path("x.png"), masks=masks)
    *tiles, bar = kept[0].axes
    assert len(tiles) == 6
    assert [t.get_ylabel() for t in tiles[:2]] == ["Image", "Anomaly map"]
    shown = [tile.images[0].get_array() for tile in tiles[1::2]]
    np.testing.assert_array_equal(shown, maps[[1, 0, 2]])  # the normal one first
    assert [bool(tile.collections) for tile in tiles] == [False] * 2 + [True] * 2 + [False] * 2
    assert bar.get_ylabel() == "distance"
    reconstruction_figure(images, images, maps, LABELS, CAPTIONS, Path("x.png"))
    assert kept[1].axes[-1].get_ylabel() == "squared difference"


def test_tensors_are_drawn_and_the_file_is_whole(tmp_path: Path) -> None:
    images, maps = pictures(channels=3)
    on_graph = torch.tensor(images, requires_grad=True)
    path = tmp_path / "figures" / "a.png"
    result = reconstruction_figure(
        on_graph, on_graph.bfloat16(), torch.tensor(maps), torch.tensor(LABELS), CAPTIONS, path
    )
    assert result == path
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]
    with Image.open(path) as picture:
        picture.load()
        assert picture.width > picture.height * 0.8


def test_one_class_and_empty_maps_are_drawn(tmp_path: Path) -> None:
    images, maps = pictures()
    path = tmp_path / "a.png"
    reconstruction_figure(images, images, maps * 0, [0, 0, 0], CAPTIONS, path)
    assert path.exists()


@pytest.mark.parametrize(
    "wrong", ["maps", "labels", "captions", "masks", "nan", "label 2", "shape"]
)
def test_bad_input_is_refused(tmp_path: Path, wrong: str) -> None:
    images, maps = pictures()
    reconstructions = images.copy()
    if wrong == "nan":
        reconstructions[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError):
        reconstruction_figure(
            images,
            reconstructions[:, :, :8] if wrong == "shape" else reconstructions,
            maps[:2] if wrong == "maps" else maps,
            {"labels": [0, 1], "label 2": [0, 1, 2]}.get(wrong, LABELS),
            CAPTIONS[:2] if wrong == "captions" else CAPTIONS,
            tmp_path / "a.png",
            masks=np.zeros((3, 8, 8), bool) if wrong == "masks" else None,
        )
    assert not list(tmp_path.iterdir())

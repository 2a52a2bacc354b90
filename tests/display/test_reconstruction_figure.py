"""Pictures of reconstructions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.display.drawing import TEXT_PT, save_figure
from cyclegan_ad.display.overlay import overlay
from cyclegan_ad.display.reconstruction_figure import Judged, reconstruction_figure
from cyclegan_ad.methods.names import METHODS

LABELS = [1, 0, 1]
CAPTIONS = ["yes/a.png", "no/b.png", "yes/c.png"]
SCALE = (0.25, 0.75)
WORDS = "contribution to the score"


def pictures(channels: int = 1) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (3, 16, 16, channels), np.uint8)
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


def draw(images: Any, made: Any, maps: Any, captions: list[str] = CAPTIONS, **more: Any) -> Path:
    path = more.pop("path", Path("x.png"))
    labels = more.pop("labels", LABELS)
    given = {"scale": SCALE, "map_shows": WORDS} | more
    return reconstruction_figure(images, made, maps, labels, captions, path, **given)


def words_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_normal_images_come_first_with_image_reconstruction_and_map_over_it(
    kept: list[Figure],
) -> None:
    images, maps = pictures()
    draw(images, 255 - images, maps)
    tiles = kept[0].axes[:-1]
    assert len(tiles) == 9
    assert [t.get_ylabel() for t in tiles[:3]] == ["Image", "Recon-\nstruction", "Map over\nimage"]
    assert words_of(kept[0])[:5] == ["Normal", "b", "Abnormal", "a", "c"]
    shown = [np.asarray(tile.images[0].get_array()) for tile in tiles[:3]]
    np.testing.assert_array_equal(shown[0], images[1, ..., 0])
    np.testing.assert_array_equal(shown[1], 255 - images[1, ..., 0])
    np.testing.assert_array_equal(shown[2], overlay(images[1], maps[1], SCALE))
    assert {(tile.images[0].get_clim(), tile.images[0].get_cmap().name) for tile in tiles[::3]} == {
        ((0, 255), "gray")
    }


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("$\\frac{$.jpg", "$\\frac{$"),
        ("price_$5_$6.png", "price_$5_$6"),
        ("pi\udce8ce.png", "pi\\udce8ce"),
        ("a\r\x1b\u202e.png", "a\\r\\x1b\\u202e"),
        ("\u65e5.png", "\\u65e5"),  # no sign of the font, which would be drawn as a box
        ("k/" + 30 * "x" + "\udce85.png", "...xxxxx\\udce85"),
    ],
)
def test_names_of_files_are_drawn_as_they_are(
    name: str, drawn: str, kept: list[Figure], tmp_path: Path
) -> None:
    images, maps = pictures()
    draw(images, images, maps, ["a", name, "c"])
    (title,) = [text for text in kept[0].texts if text.get_text() == drawn]
    assert not title.get_parse_math()
    save_figure(kept[0], tmp_path / "x.png")  # matplotlib refuses what it cannot draw here


def test_folders_are_named_where_they_differ_within_a_class(kept: list[Figure]) -> None:
    images, maps = pictures()
    draw(images, images, maps, ["test/hole/1.png", "train/good/2.png", "test/scratch/1.png"])
    assert words_of(kept[0])[:7] == ["Normal", "2", "Abnormal", "hole", "1", "scratch", "1"]


def test_a_long_name_takes_two_lines_where_there_is_no_folder(kept: list[Figure]) -> None:
    images = np.zeros((5, 8, 8, 1), np.uint8)
    names = ["abnormal/missing_003.png", *(f"abnormal/hole_{i}.png" for i in range(4))]
    draw(images, None, np.ones((5, 8, 8)), names, labels=[1] * 5)
    assert words_of(kept[0])[1:5] == ["missing_", "003", "", "hole_0"]


def test_scores_and_decisions_stand_below_each_image(kept: list[Figure]) -> None:
    images, maps = pictures()
    judged = Judged("sse", [1.5, 2.0, -3.25], "crossfit", 1.5)
    draw(images, None, maps, judged=judged)
    texts = words_of(kept[0])
    assert texts[:4] == ["Normal", "b", "2", "\u2717 alarm"]
    assert texts[4:11] == [
        "Abnormal",
        "a",
        "1.5",
        "\u2713 found",
        "c",
        "\u22123.25",
        "\u2717 missed",
    ]
    assert "Numbers: sse, abnormal from 1.5 on (crossfit)" in " ".join(texts[11:])
    draw(images, None, maps, judged=Judged("sse", [9.0, 1.0, 9.0], "ZFN", 9.0))
    texts = words_of(kept[1])
    assert texts[3] == "\u2713 passed" and "set on the test images" in " ".join(texts)


def test_the_colour_bar_has_the_scale_and_the_words_of_the_method(kept: list[Figure]) -> None:
    images, maps = pictures()
    draw(images, images, maps)
    bar = kept[0].axes[-1]
    assert bar.get_xlim() == SCALE
    assert bar.get_xlabel() == f"Map: {WORDS}"
    draw(images, None, maps)
    assert [t.get_ylabel() for t in kept[1].axes[:2]] == ["Image", "Map over\nimage"]


def test_masks_are_outlined_in_image_and_map_only(kept: list[Figure]) -> None:
    images, maps = pictures(channels=3)
    masks = np.zeros((3, 16, 16), bool)
    masks[0, :4, :4] = True
    draw(images, images, maps, masks=masks)
    outlined = [bool(tile.collections) for tile in kept[0].axes[:-1]]
    assert outlined == [False] * 3 + [True, False, True] + [False] * 3
    assert "annotated defect" in " ".join(words_of(kept[0]))
    draw(images, images, maps, masks=masks & False)
    assert "annotated defect" not in " ".join(words_of(kept[1]))


@pytest.mark.parametrize("count", [1, 5])
def test_letters_are_legible_on_a_phone_and_stay_apart(count: int, kept: list[Figure]) -> None:
    n = 2 * count
    judged = Judged("critic_abnormal_peak_tta", [-0.0123456] * n, "calibrated", -123456.7)
    names = [f"test/{i % 3}scratched_neck/{i}_a_long_name.png" for i in range(n)]
    images = np.zeros((n, 8, 8, 1), np.uint8)
    labels, masks = [0, 1] * count, np.ones((n, 8, 8), bool)
    draw(images, images, np.ones((n, 8, 8)), names, labels=labels, masks=masks, judged=judged)
    figure = kept[0]
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(float(text.get_fontsize()) for text in shown) >= TEXT_PT >= 9
    boxes = [text.get_window_extent() for text in figure.texts]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert not any(a.overlaps(b) for a in boxes for b in boxes if a is not b)


@pytest.mark.parametrize("method", METHODS)
def test_the_words_of_each_method_fit_below_the_colour_bar(method: str, kept: list[Figure]) -> None:
    images, maps = pictures()
    draw(images, None, maps, map_shows=METHODS[method].map_shows)
    figure = kept[0]
    figure.draw_without_rendering()
    box = figure.axes[-1].xaxis.label.get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
    assert not any(box.overlaps(text.get_window_extent()) for text in figure.texts)


def test_tensors_are_drawn_and_the_file_is_whole(tmp_path: Path) -> None:
    images, maps = pictures(channels=3)
    path = tmp_path / "figures" / "a.png"
    labels = torch.tensor(LABELS)
    shown = torch.tensor(images)
    assert draw(shown, shown, torch.tensor(maps), path=path, labels=labels) == path
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]
    with Image.open(path) as picture:
        picture.load()
        assert picture.height > picture.width


def test_one_class_and_empty_maps_are_drawn(tmp_path: Path) -> None:
    images, maps = pictures()
    draw(images, images, maps * 0, path=tmp_path / "a.png", labels=[0, 0, 0])
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    "wrong", ["maps", "labels", "captions", "masks", "nan", "label 2", "shape", "channels"]
)
def test_bad_input_is_refused(tmp_path: Path, wrong: str) -> None:
    images, maps = pictures()
    if wrong == "nan":
        maps[0, 0, 0] = np.nan
    if wrong == "channels":
        images = images.repeat(2, axis=3)
    with pytest.raises(ValueError, match=r"images|masks|labels|anomaly_maps"):
        draw(
            images,
            images[:, :8] if wrong == "shape" else images,
            maps[:2] if wrong == "maps" else maps,
            CAPTIONS[:2] if wrong == "captions" else CAPTIONS,
            labels={"labels": [0, 1], "label 2": [0, 1, 2]}.get(wrong, LABELS),
            path=tmp_path / "a.png",
            masks=np.zeros((3, 8, 8), bool) if wrong == "masks" else None,
        )
    assert not list(tmp_path.iterdir())

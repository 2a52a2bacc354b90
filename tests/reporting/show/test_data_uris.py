"""Pictures as data URIs."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reporting.fake_runs import make_run

from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.show.data_uris import image_uri, map_uri, scale_uri
from cyclegan_ad.reporting.show.gallery import gather_pictures
from cyclegan_ad.scoring.names import ScoreColumn


def opened(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head in ("data:image/jpeg;base64", "data:image/png;base64")
    return Image.open(io.BytesIO(base64.b64decode(body)))


def test_an_image_keeps_its_pixels_and_is_made_smaller_if_need_be() -> None:
    ramp = np.linspace(0, 255, 64)[None, :, None].repeat(64, 0).astype(np.uint8)
    picture = np.asarray(opened(image_uri(ramp)))
    assert picture.shape == (64, 64)
    assert np.abs(picture.astype(int) - ramp[:, :, 0]).max() <= 4
    assert opened(image_uri(np.zeros((300, 200, 3), np.uint8), 96)).size == (64, 96)
    with pytest.raises(ValueError, match="uint8"):
        image_uri(np.zeros((4, 4), np.uint8))


def test_maps_share_a_scale_from_black_to_bright() -> None:
    maps = np.full((2, 32, 32), 1.0, np.float32)
    maps[1, :16] = 4.0
    assert np.asarray(opened(map_uri(maps[0], (1.0, 4.0)))).max() < 12
    bright = np.asarray(opened(map_uri(maps[1], (1.0, 4.0))))
    assert bright[4, 4].min() > 100
    assert bright[28, 28].max() < 12
    bar = np.asarray(opened(scale_uri())).astype(int).sum(2)[4]
    assert bar[0] < 30 and bar[-1] > 500


@pytest.mark.parametrize("place", [(slice(8, 16), slice(8, 16)), (slice(8, 16), slice(3, 4))])
@pytest.mark.parametrize("side_px", [32, 256])
def test_a_defect_is_outlined_at_any_size(side_px: int, place: tuple[slice, slice]) -> None:
    image, mask = np.full((side_px, side_px, 1), 60, np.uint8), np.zeros((side_px, side_px), bool)
    assert opened(image_uri(image, 96, mask)).mode == "L"  # without a defect as it was
    mask[place] = True
    drawn = np.asarray(opened(image_uri(image, 96, mask))).astype(int)
    assert drawn.shape == (96, 96, 3)
    lines = (drawn[:, :, 1] - drawn[:, :, 0] > 100).sum()  # of OUTLINE_COLOUR, cyan
    assert 20 < lines < 400


def test_critical_images_have_their_thumbnails_where_kept(tmp_path: Path) -> None:
    make_run(tmp_path, columns=["sse"])
    runs, _ = collect(tmp_path)
    (shown,), (critical,), left_out = gather_pictures(runs)
    assert left_out == []
    assert [tile["label"] for tile in shown["tiles"]] == ["normal"] * 4 + ["abnormal"] * 4
    assert opened(shown["distributions"][0]["uri"]).width > 400
    scores, labels = runs[0].scores[ScoreColumn("sse")], runs[0].labels
    lowest = int(np.flatnonzero(labels == 1)[scores[labels == 1].argmin()])
    first = critical["images"][0]
    assert first["path"] == runs[0].image_paths[lowest]
    assert critical["threshold"] == f"{scores[lowest]:.6g}"
    labels = [image["label"] for image in critical["images"]]
    assert labels == sorted(labels) and set(labels) == {"abnormal", "normal"}
    assert first["roles"][0] == "sets the ZFN threshold"
    assert {image["image"] is None for image in critical["images"]} == {True, False}
    for image in critical["images"]:
        assert (image["image"] is None) is (image["map"] is None)
    tile = shown["tiles"][-1]
    assert tile["decision"] == "found" and float(tile["score"]) >= scores[lowest] - 1e-4
    low, high = map(float, shown["scale"])
    assert 0 < low < high


def test_maps_are_shown_for_the_lowest_seed(tmp_path: Path) -> None:
    for seed in (0, 1):
        make_run(tmp_path, seed=seed, columns=["sse"])
    _, critical, _ = gather_pictures(collect(tmp_path)[0])
    with_maps = {part["seed"]: any(image["map"] for image in part["images"]) for part in critical}
    assert with_maps == {0: True, 1: False}
    assert all(any(image["image"] for image in part["images"]) for part in critical)


def test_damaged_examples_are_said_and_the_figures_stay(tmp_path: Path) -> None:
    first, second = make_run(tmp_path, seed=0), make_run(tmp_path, seed=1)
    (first / "examples.npz").write_bytes(b"PK")
    with np.load(second / "examples.npz") as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(second / "examples.npz", **(arrays | {"maps": arrays["maps"][1:]}))
    shown, critical, left_out = gather_pictures(collect(tmp_path)[0])
    assert [row.what for row in left_out] == [
        "cyclegan-64/screw/seed0, pictures",
        "cyclegan-64/screw/seed1, pictures",
    ]
    assert "damaged" in left_out[0].reason
    assert "not the file that was written" in left_out[1].reason
    assert shown[0]["tiles"] == []
    assert len(critical) == 4

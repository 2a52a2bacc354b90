"""Many files: none is lost, and no image stays in memory."""

import errno
import io
import os
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errors import refuses
from PIL import Image

from cyclegan_ad.data.parallel import map_in_order
from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.detector.decision_files import DecisionFiles, read_lines
from cyclegan_ad.detector.detect import Detector, Scored
from cyclegan_ad.detector.find_images import find_images
from cyclegan_ad.detector.judge_files import Overlays, judge
from cyclegan_ad.detector.prediction import Prediction
from cyclegan_ad.files import explain_file_errors


class MeanBackend:
    """The score is the mean of the pixels."""

    def __init__(self) -> None:
        self.description: dict[str, Any] = {
            "preprocessing": {"channels": 1, "window": None, "size_px": 32},
            "map_scale": [0.0, 1.0],
        }

    def score(self, pixels: Any, column: str) -> Scored:
        maps = pixels[..., 0].astype(np.float32)
        return Scored(maps.mean(axis=(1, 2)).astype(np.float64), maps, None)

    def map(
        self, function: Callable[[list[Any]], list[Prediction]], items: Sequence[Any]
    ) -> Iterator[list[Prediction]]:
        batches = [list(items[start : start + 16]) for start in range(0, len(items), 16)]
        return map_in_order(function, batches, name="mean")


def folder_of(folder: Path, count: int) -> Path:
    """Copies of one image, three of them damaged."""
    content = io.BytesIO()
    Image.new("L", (8, 8), 10).save(content, "PNG")
    folder.mkdir()
    for i in range(count):
        broken = i in (0, count // 2, count - 1)
        (folder / f"{i:06d}.png").write_bytes(content.getvalue()[: 40 if broken else None])
    return folder


def draw_images(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.new("L", (8, 8), 10).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("count", "traced"), [(2000, True), pytest.param(100_000, False, marks=pytest.mark.slow)]
)
def test_three_of_many_files_are_broken(tmp_path: Path, count: int, traced: bool) -> None:
    detector = Detector(MeanBackend(), Decision("mean", 128.0, "paper", {}))
    paths = find_images(folder_of(tmp_path / "files", count))
    overlays = Overlays(tmp_path / "overlays", tmp_path / "files")
    seen: list[int] = []
    if traced:  # it makes everything slower
        tracemalloc.start()
    with DecisionFiles(tmp_path / "out", {}, overwrite=False) as files:
        judge(
            detector,
            files.pending(paths),
            files,
            draw=["abnormal"],
            overlays=overlays,
            progress=lambda done, total: seen.append(total - done),
        )
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    zones = {"pass": count - 3, "review": 3, "reject": 0}
    assert files.count() == {"normal": count - 3, "abnormal": 3, "undecided": 3} | zones
    assert seen == sorted(seen, reverse=True) and seen[-1] == 0
    records = read_lines(tmp_path / "out" / "predictions.jsonl")
    assert [record["path"] for record in records] == [str(path) for path in paths]
    assert [Path(r["path"]).stem for r in records if r["reason"]] == [
        f"{i:06d}" for i in (0, count // 2, count - 1)
    ]
    assert not overlays.folder.exists()  # none has a map
    # Names, sizes and times of the files, about 1 KB each; the maps alone would take 4 KB each.
    assert peak < 2e6 + 1200 * count


def test_a_file_that_is_replaced_while_it_is_judged_is_judged_again(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(4)]
    paths = find_images(draw_images(tmp_path / "files", *names))
    detector = Detector(MeanBackend(), Decision("mean", 128.0, "paper", {}))

    def replace_the_second(done: int, total: int) -> None:  # its pixels were read before
        Image.new("L", (9, 9), 250).save(paths[1])

    out, none = tmp_path / "out", Overlays(tmp_path / "overlays", tmp_path)
    with DecisionFiles(out, {}, overwrite=False) as files:
        judge(
            detector,
            paths,
            files,
            draw=(),
            overlays=none,
            progress=replace_the_second,
        )
        assert files.pending(paths) == [paths[1]]
    with DecisionFiles(out, {}, overwrite=False) as files:
        assert files.pending(paths) == [paths[1]]


def judge_all(images: Path | str, out: Path, *, draws: bool = True) -> set[str]:
    """Judge images and draw their overlays, whose names are returned."""
    detector = Detector(MeanBackend(), Decision("mean", 128.0, "paper", {}))
    overlays = Overlays(out / "overlays", Path(images))
    with DecisionFiles(out, {}, overwrite=False) as files:
        pending = files.pending(find_images(images))
        judge(
            detector,
            pending,
            files,
            draw=("normal", "abnormal") if draws else (),
            overlays=overlays,
        )
    drawn = [path for path in overlays.folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(overlays.folder)) for path in drawn}


def test_a_name_that_is_too_long_for_its_overlay_is_shortened(tmp_path: Path) -> None:
    fits = "f" * 229 + ".png"
    long = ["x" * 245 + "1.png", "x" * 245 + "2.png", "ü" * 123 + ".png"]
    folder = draw_images(tmp_path / "files", "a.png", fits, *long)
    drawn = judge_all(folder, tmp_path / "out")
    assert len(drawn) == 5 and {"a.png.png", f"{fits}.png"} < drawn
    shortened = sorted(drawn - {"a.png.png", f"{fits}.png"})
    assert [name[:100] for name in shortened] == ["x" * 100, "x" * 100, "ü" * 100]
    assert len(read_lines(tmp_path / "out" / "predictions.jsonl")) == 5
    assert judge_all(folder, tmp_path / "out") == drawn


def test_each_image_has_an_overlay_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = draw_images(tmp_path / "files", "p_1.png", "p..1.png")
    assert judge_all(folder, tmp_path / "out") == {"p_1.png.png", "p..1.png.png"}
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert judge_all("../files/p*.png", tmp_path / "other") == {
        "_/files/p_1.png.png",
        "_/files/p..1.png.png",
    }


def test_decisions_outlast_a_failed_overlay_which_the_next_command_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = draw_images(tmp_path / "files", *(f"{i:02d}.png" for i in range(20)))
    out, overlay = tmp_path / "out", Prediction.overlay

    def fill_the_disk(self: Prediction) -> Image.Image:
        if str(self.path).endswith("03.png"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return overlay(self)

    with monkeypatch.context() as patch:
        patch.setattr(Prediction, "overlay", fill_the_disk)
        told = refuses(file=out / "overlays" / "03.png.png", remedy="free space")
        with told, explain_file_errors():
            judge_all(folder, out)
    assert len(read_lines(out / "predictions.jsonl")) == 16
    assert len((out / "predictions.csv").read_text().splitlines()) == 17
    # Only of the images of the command, and only if they are asked for.
    assert len(judge_all(draw_images(tmp_path / "more", "z.png"), out)) == 4
    assert len(judge_all(folder, out, draws=False)) == 4
    (folder / "15.png").unlink()
    capsys.readouterr()
    everything = {f"{i:02d}.png.png" for i in range(20) if i != 15} | {"z.png.png"}
    assert judge_all(folder, out) == everything
    assert capsys.readouterr().out == "drawing 16 overlays of earlier decisions\n"
    assert judge_all(folder, out) == everything
    assert capsys.readouterr().out == ""

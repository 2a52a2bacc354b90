"""Figures 3 and 4 from run directories made by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from errors import refuses
from matplotlib.figure import Figure

from cyclegan_ad.data.examples import Examples
from cyclegan_ad.display import histogram
from cyclegan_ad.evaluation.pictures import Pictures, write_examples
from cyclegan_ad.files import write_json, write_rows
from cyclegan_ad.runs.examples import examples_fingerprint
from cyclegan_ad.runs.results import METRICS_FORMAT
from experiments import figure3 as figure3_module
from experiments import figure4 as figure4_module
from experiments.figure3 import DEFAULTS as DEFAULTS3
from experiments.figure3 import figure3, read_strip
from experiments.figure4 import DEFAULTS as DEFAULTS4
from experiments.figure4 import figure4, read_distribution


def make_run(
    run_dir: Path, *, channels: int = 1, reconstructs: bool = True, count: int = 5
) -> Path:
    """A run with ``count`` evenly spread and one critical image of each class."""
    random = torch.Generator().manual_seed(0)
    each = count + 1
    images = torch.rand(2 * each, channels, 16, 16, generator=random) * 2 - 1
    masks = torch.zeros(2 * each, 16, 16, dtype=torch.bool)
    masks[each:, :4, :4] = True
    write_examples(
        run_dir,
        Pictures(
            Examples(
                images=images,
                labels=[0] * each + [1] * each,
                captions=[f"{i}.png" for i in range(2 * each)],
                masks=masks,
            ),
            -images if reconstructs else None,
            torch.rand(2 * each, 16, 16, generator=random),
            np.array(([False] * count + [True]) * 2),
        ),
    )
    write_rows(
        run_dir / "scores.csv",
        ["path", "label", "sse", "fid"],
        [[f"{i}.png", int(i >= 4), float(s), 1.0] for i, s in enumerate((1, 2, 3, 5, 4, 6, 7, 8))],
    )
    fingerprints = {"examples.npz": examples_fingerprint(run_dir)}
    write_json(
        run_dir / "metrics.json",
        {"format": METRICS_FORMAT, "scores": {}, "fingerprints": fingerprints},
    )
    return run_dir


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Collect the figures instead of saving them."""
    collected: list[Figure] = []

    def keep(figure: Figure, path: Path) -> Path:
        collected.append(figure)
        return path

    monkeypatch.setattr(figure3_module, "save_figure", keep)
    monkeypatch.setattr(figure4_module, "save_figure", keep)
    return collected


def places(tmp_path: Path) -> dict[str, str]:
    return {"runs": str(tmp_path / "runs"), "out": str(tmp_path / "figures")}


def make_two(tmp_path: Path) -> None:
    for dataset, channels in (("screw", 1), ("wood", 3)):
        make_run(tmp_path / "runs" / "cyclegan-256" / dataset / "seed0", channels=channels)


def test_figure3_shows_what_is_there_and_names_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_two(tmp_path)
    missing = [str(error) for error in figure3(DEFAULTS3 | places(tmp_path))]
    assert len(missing) == 5
    assert missing[0] == (
        f"{tmp_path}/runs/cyclegan-256/hazelnut/seed0 holds no finished run; train it with: "
        "python -m cyclegan_ad.train +experiment=figure3 +column=cyclegan-256 dataset=hazelnut "
        f"seed=0 runs={tmp_path}/runs"
    )
    path = tmp_path / "figures" / "figure3_cyclegan-256.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"Written to {path}\n"


def test_figure3_puts_normal_left_abnormal_right_a_strip_a_dataset(
    tmp_path: Path, kept: list[Figure]
) -> None:
    make_two(tmp_path)
    figure3(DEFAULTS3 | places(tmp_path) | {"dataset": "wood,screw", "examples": "3"})
    [figure] = kept
    assert [axes.get_ylabel() for axes in figure.axes[:36:18]] == ["Wood", "Screw"]
    titles = [axes.get_title() for axes in figure.axes[:6]]
    columns = ["Image", "Reconstruction", "Squared difference"]
    assert titles == [f"{name}\n{kind}" for name in ("Normal", "Abnormal") for kind in columns]
    note = figure.get_supxlabel()
    assert note.startswith("cyclegan-256, seed 0.") and "Outline" in note
    tiles = [axes for axes in figure.axes if axes.images]
    assert len(tiles) == 2 * 3 * 2 * 3  # datasets, examples, classes, columns
    assert [bool(axes.collections) for axes in tiles] == ([False] * 3 + [True, False, True]) * 6
    scales = [axes.images[0].get_clim() for axes in tiles[2::3]]
    assert len(set(scales[:6])) == len(set(scales[6:])) == 1
    assert scales[0] != scales[6]


def test_examples_are_spread_evenly_and_critical_ones_left_out(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "run", count=5)
    strip = read_strip(run_dir, "screw", 2)
    everything = read_strip(run_dir, "screw", 99)
    for label in (0, 1):
        assert len(everything.tiles[label]) == 5  # not the sixth, critical one
        for got, expected in zip(strip.tiles[label], (1, 3), strict=True):
            np.testing.assert_array_equal(got[0], everything.tiles[label][expected][0])
    image, reconstruction, difference, _ = strip.tiles[1][0]
    assert image.shape == reconstruction.shape == difference.shape == (16, 16)
    with np.load(run_dir / "examples.npz") as file:
        np.testing.assert_array_equal(difference, file["maps"][7])  # as the run saved it


def test_maps_have_the_scale_of_the_report(tmp_path: Path, kept: list[Figure]) -> None:
    make_two(tmp_path)
    figure3(DEFAULTS3 | places(tmp_path) | {"dataset": "screw", "examples": "5"})
    [figure] = kept
    maps = np.stack(
        [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images][2::3]
    )
    drawn = [axes for axes in figure.axes if axes.images][2]
    assert drawn.images[0].get_clim() == (0.0, pytest.approx(np.percentile(maps, 99.8)))


def test_a_method_without_reconstructions_is_told(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "run", reconstructs=False)
    with refuses(file=run_dir, facts="reconstructions"):
        read_strip(run_dir, "screw", 2)


def test_a_run_without_examples_is_left_out(tmp_path: Path) -> None:
    make_two(tmp_path)
    (tmp_path / "runs" / "cyclegan-256" / "wood" / "seed0" / "examples.npz").unlink()
    missing = figure3(DEFAULTS3 | places(tmp_path) | {"dataset": "wood,screw"})
    [error] = map(str, missing)
    assert "examples.npz is missing" in error


def test_a_distribution_is_read(tmp_path: Path) -> None:
    found = read_distribution(make_run(tmp_path / "run"), "screw", "sse")
    assert found.scores == [1, 2, 3, 5, 4, 6, 7, 8]
    assert found.labels == [0, 0, 0, 0, 1, 1, 1, 1]
    assert found.title == "Screw"


def test_figure4_draws_a_panel_a_dataset(tmp_path: Path, kept: list[Figure]) -> None:
    make_two(tmp_path)
    make_run(tmp_path / "runs" / "cyclegan-256" / "tile" / "seed0")
    missing = figure4(DEFAULTS4 | places(tmp_path))
    assert len(missing) == 4
    [figure] = kept
    figure.draw_without_rendering()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Screw", "Tile", "Wood", ""]
    assert not figure.axes[3].axison
    for axes in figure.axes[:3]:
        assert axes.get_title(loc="right") == "ZFN 87.5 %, ACC 87.5 %, AUROC 93.8 %"
        (key,) = axes.get_legend().get_texts()  # both have one value
        assert key.get_text() == "ZFN = ACC 4: 0 missed, 1 false alarm"
        signs = [line for line in axes.lines if line.get_marker() != "None"]
        drawn = key.get_window_extent()
        assert signs and not any(sign.get_window_extent().overlaps(drawn) for sign in signs)
    label = figure.get_supxlabel()
    assert label.startswith("sse (higher: more abnormal)\ncyclegan-256, seed 0.")
    assert "optimistic" in label
    # Every image is in a bin: normal ones upwards, abnormal ones downwards.
    bars = [patch for patch in figure.axes[0].patches if patch.get_fill()]
    assert [bar.get_data().values.sum() for bar in bars] == [4, -4]


def test_figure4_writes_a_file_of_its_own_for_each_score(tmp_path: Path) -> None:
    make_two(tmp_path)
    for score in ("sse", "fid"):
        assert figure4(DEFAULTS4 | places(tmp_path) | {"dataset": "screw", "score": score}) == []
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "figure4_cyclegan-256_fid.png",
        "figure4_cyclegan-256_sse.png",
    ]


def test_a_score_that_is_not_there_and_one_class_only_are_told(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "run")
    for name in ("peak", "path", "label"):
        with refuses(setting="score", value=name, facts="sse, fid"):
            read_distribution(run_dir, "screw", name)
    write_rows(run_dir / "scores.csv", ["path", "label", "sse"], [["a", 1, 1.0], ["b", 1, 2.0]])
    with refuses(file=run_dir, facts="one class"):
        read_distribution(run_dir, "screw", "sse")


def test_figure4_has_the_bins_and_the_axis_of_the_runs_own_figure(
    tmp_path: Path, kept: list[Figure]
) -> None:
    run_dir = make_run(tmp_path / "runs" / "cyclegan-256" / "screw" / "seed0")
    scores = [0.1, 0.2, 0.3, 0.5, 0.4, 0.6, 0.7, 900.0]
    write_rows(
        run_dir / "scores.csv",
        ["path", "label", "sse"],
        [[f"{i}.png", int(i >= 4), score] for i, score in enumerate(scores)],
    )
    figure4(DEFAULTS4 | places(tmp_path) | {"dataset": "screw"})
    thresholds = {"ZFN": 0.4, "ACC": 0.4}
    own = histogram.score_figure(scores, [0] * 4 + [1] * 4, thresholds, "sse").axes[0]
    driver = kept[0].axes[0]
    assert driver.get_xscale() == own.get_xscale() == "log"
    assert driver.get_xlim() == own.get_xlim()
    assert [text.get_text() for text in driver.texts] == [text.get_text() for text in own.texts]
    assert [line.get_linestyle() for line in driver.lines] == [
        line.get_linestyle() for line in own.lines
    ]
    for one, other in zip(driver.patches, own.patches, strict=True):
        np.testing.assert_array_equal(one.get_path().vertices, other.get_path().vertices)

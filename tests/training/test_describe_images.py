"""Which training images a probe sees."""

from pathlib import Path

from tiny import draw_folder, settings

from cyclegan_ad.build import build_data
from cyclegan_ad.training.describe_images import training_images


def test_at_most_so_many_of_each_class_drawn_from_the_seed(tmp_path: Path) -> None:
    root, drawn = draw_folder(tmp_path / "data", normal=20, abnormal=12), set()
    for seed in range(4):
        chosen = settings(root, tmp_path / "runs", f"seed={seed}", method="linear_probe")
        data = build_data(chosen)
        data.setup()
        assert training_images(data, None) == list(data.split.train)
        five, three = training_images(data, 5), training_images(data, 3)
        assert [sum(data.samples[i].label == label for i in five) for label in (0, 1)] == [5, 5]
        assert set(three) < set(five) < set(data.split.train)  # nested
        normal = data.train_indices(0)
        drawn.add(tuple(normal.index(i) for i in three if i in normal))
    assert len(drawn) > 1

"""Which training images a method that is fitted in one pass sees."""

from pathlib import Path

from tiny import draw_folder, settings

from cyclegan_ad.build import build_data
from cyclegan_ad.data.training_images import choose_training_images


def test_at_most_so_many_of_each_class_drawn_from_the_seed(tmp_path: Path) -> None:
    root, drawn = draw_folder(tmp_path / "data", normal=20, abnormal=12), set()
    for seed in range(4):
        chosen = settings(root, tmp_path / "runs", f"seed={seed}", method="linear_probe")
        data = build_data(chosen)
        data.setup()
        assert choose_training_images(data, None) == list(data.split.train)
        five, three = choose_training_images(data, 5), choose_training_images(data, 3)
        assert [sum(data.samples[i].label == label for i in five) for label in (0, 1)] == [5, 5]
        away = {data.groups[i] for i in five}
        others = choose_training_images(data, None, away)
        assert others == [i for i in data.split.train if i not in five]
        assert set(three) < set(five) < set(data.split.train)  # nested
        normal = data.train_indices(0)
        drawn.add(tuple(normal.index(i) for i in three if i in normal))
    assert len(drawn) > 1

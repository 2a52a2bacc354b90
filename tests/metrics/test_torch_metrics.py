import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan_ad.metrics.localisation import aupro, pixel_auroc
from cyclegan_ad.metrics.thresholds import summarise
from cyclegan_ad.metrics.torch_metrics import ImageDetection, PixelLocalisation

TIME_LIMIT_S = 300


def dataset() -> dict[str, torch.Tensor]:
    """Eleven images; their scores differ beyond float32, and so do the thresholds."""
    generator = torch.Generator().manual_seed(0)
    target = torch.tensor([0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0])
    preds = 1e6 + target + torch.randn(11, generator=generator, dtype=torch.float64) * 1e-3
    mask = torch.rand(11, 6, 5, generator=generator) > 0.8
    mask &= target[:, None, None] == 1
    anomaly_map = torch.rand(11, 6, 5, generator=generator) + 0.3 * mask
    return {"preds": preds, "target": target, "anomaly_map": anomaly_map, "gt_mask": mask}


def measure(index: list[int], batch: int = 2) -> dict[str, float]:
    """Feed the images of these indices, in batches, to both metrics."""
    data = dataset()
    detection, localisation = ImageDetection(), PixelLocalisation()
    for start in range(0, len(index), batch):
        i = torch.tensor(index[start : start + batch])
        detection.update(i, data["preds"][i], data["target"][i])
        localisation.update(i, data["anomaly_map"][i], data["gt_mask"][i])
    return detection.compute() | localisation.compute()


def expected() -> dict[str, float]:
    data = {name: value.numpy() for name, value in dataset().items()}
    return summarise(data["preds"], data["target"]) | {
        "pixel_auroc": pixel_auroc(data["anomaly_map"], data["gt_mask"]),
        "aupro": aupro(data["anomaly_map"], data["gt_mask"]),
        "masked_images": int(data["gt_mask"].any(axis=(1, 2)).sum()),
    }


def test_equals_the_pure_functions() -> None:
    assert measure(list(range(11))) == expected()


def test_batches_order_and_repeats_do_not_matter() -> None:
    order = np.random.default_rng(0).permutation(11).tolist()
    assert measure([*order, *order[:4], order[0]], batch=5) == expected()


def test_float64_scores_survive_precision_changes() -> None:
    data = dataset()
    metric = torch.nn.ModuleList([ImageDetection()]).half()[0]
    metric.set_dtype(torch.float16)
    metric.update(torch.arange(11), data["preds"], data["target"])
    metric = torch.nn.ModuleList([metric]).to(torch.bfloat16).float()[0]
    assert metric.compute() == summarise(data["preds"].numpy(), data["target"].numpy())


def test_reset_starts_anew() -> None:
    metric = ImageDetection()
    metric.update(torch.arange(2), torch.tensor([5.0, 6.0]), torch.tensor([0, 1]))
    assert metric.compute()["zfn_threshold"] == 6
    metric.reset()
    metric.update(torch.arange(2), torch.tensor([1.0, 2.0]), torch.tensor([0, 1]))
    assert metric.compute()["zfn_threshold"] == 2


@pytest.mark.parametrize("metric", [ImageDetection, PixelLocalisation])
@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
def test_empty_metric_says_so(metric) -> None:
    with pytest.raises(ValueError, match=f"{metric.__name__} has no images"):
        metric().compute()


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(N,\)"):
        ImageDetection().update(torch.arange(2), torch.zeros(2, 1), torch.zeros(2))
    with pytest.raises(ValueError, match=r"expected \(N, H, W\)"):
        PixelLocalisation().update(torch.arange(2), torch.zeros(2, 3, 3), torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="2 maps but 1 index"):
        PixelLocalisation().update(torch.arange(1), torch.zeros(2, 3, 3), torch.zeros(2, 3, 3))
    metric = PixelLocalisation()
    for i, size in enumerate([(2, 3), (3, 2)]):
        metric.update(torch.tensor([i]), torch.zeros(1, *size), torch.zeros(1, *size))
    with pytest.raises(ValueError, match="one size"):
        metric.compute()


# The indices that each of two processes sees.
SHARES = [
    [[0, 1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 3]],  # unequal numbers; image 3 on both
    [list(range(11)), []],  # one without images
]


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(tmp_path)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=TIME_LIMIT_S)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for rank in range(2):
        results = json.loads((tmp_path / f"{rank}.json").read_text())
        assert results == [expected() for _ in SHARES]


def _process(rank: int, folder: Path) -> None:
    """One of two processes: measure its shares, write what both found together."""
    meeting = f"file://{folder / 'meeting'}"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    results = [measure(shares[rank]) for shares in SHARES]
    (folder / f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    _process(int(sys.argv[1]), Path(sys.argv[2]))

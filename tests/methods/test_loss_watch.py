"""Non-finite losses are noticed, once they are looked at, with the first step they occurred in."""

import pytest
import torch

from cyclegan_ad.methods import loss_watch
from cyclegan_ad.methods.loss_watch import LossWatch, NonFiniteLossError, check_weights


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_bad_loss_is_told_at_once_on_a_cpu(bad: float) -> None:
    watch = LossWatch()
    watch.note({"a": torch.tensor(1.0), "b": torch.tensor(2.0)}, step=6, epoch=1)
    with pytest.raises(NonFiniteLossError, match=r"step 7 \(epoch 2\)"):
        watch.note({"a": torch.tensor(1.0), "b": torch.tensor(bad)}, step=7, epoch=1)


def test_the_first_bad_step_is_named_when_the_look_comes_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = LossWatch()
    with monkeypatch.context() as patch:  # as on a GPU: nothing is looked at while training
        patch.setattr(LossWatch, "check", lambda self: None)
        for step, value in ((1, 1.0), (2, float("nan")), (3, float("nan")), (4, 1.0)):
            watch.note({"a": torch.tensor(value)}, step=step, epoch=0)
    with pytest.raises(NonFiniteLossError, match="step 2 "):
        watch.check()


def test_a_device_that_is_not_a_cpu_is_looked_at_only_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(LossWatch, "check", lambda self: looks.append(1))
    watch = LossWatch()
    for step in range(1, 2 * loss_watch.CHECK_EVERY_N_STEPS + 1):
        watch.note({"a": torch.zeros((), device="meta")}, step=step, epoch=0)
    assert len(looks) == 2


def test_weights() -> None:
    network = torch.nn.Linear(2, 2)
    check_weights(network, epoch=0)
    network.bias.data[1] = float("inf")
    with pytest.raises(NonFiniteLossError, match="last step of epoch 3"):
        check_weights(network, epoch=2)


def test_nothing_noted_is_nothing_wrong() -> None:
    LossWatch().check()

"""The file of a checkpoint: whatever bit of it changes, it is damaged."""

from pathlib import Path

import pytest
import torch
from errors import refuses

from cyclegan_ad.runs.checkpoints import WholeCheckpoints, check_checkpoint
from cyclegan_ad.runs.directory import RunDirectory

IDENTITY = {"seed": 0, "trainer.max_epochs": 3}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path)
    content = {"state_dict": {"weight": torch.arange(6.0)}, "run": IDENTITY, "epoch": 2}
    content |= dict.fromkeys(("optimizer_states", "lr_schedulers", "loops", "hyper_parameters"), 0)
    WholeCheckpoints().save_checkpoint(content, run.checkpoint)
    return run


def test_a_whole_one_is_read_by_torch(run: RunDirectory) -> None:
    assert check_checkpoint(run, IDENTITY) == 3
    for mmap in (False, True):
        content = torch.load(run.checkpoint, weights_only=True, mmap=mmap)
        assert torch.equal(content["state_dict"]["weight"], torch.arange(6.0))


def test_any_changed_bit_is_damage(run: RunDirectory) -> None:
    """Also where Python and torch read the archive differently, as the kind of an entry."""
    whole = run.checkpoint.read_bytes()
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        run.checkpoint.write_bytes(changed)
        with refuses(file=run.checkpoint):
            check_checkpoint(run, IDENTITY)
    for length in (0, 1, 66, len(whole) // 2, len(whole) - 1):
        run.checkpoint.write_bytes(whole[:length])
        with refuses(file=run.checkpoint):
            check_checkpoint(run, IDENTITY)


def test_the_checkpoint_of_another_run_is_refused(run: RunDirectory) -> None:
    with refuses(file=run.checkpoint, facts=("seed=0", "1")):
        check_checkpoint(run, IDENTITY | {"seed": 1})

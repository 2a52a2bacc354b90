"""Out of memory, said in one line: at which batch size, what is kept, and what to try in order."""

import errno
import gc
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings import Settings, makes_another_training

Phase = Literal["reading", "training", "scoring"]

# How torch and the libraries below it word it where they have no exception class for it.
_WORDS = re.compile(
    r"out of memory|can't allocate memory|not enough memory|_ALLOC_FAILED|Cannot allocate memory"
    r"|std::bad_alloc",
    re.IGNORECASE,
)
_GPU = re.compile(r"CUDA|CUDNN|CUBLAS|HIP\b", re.IGNORECASE)
_CAPACITY = re.compile(r"total capacity of (\d[\d.]* [KMG]iB)")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had, on a GPU or for the CPU.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    True
    >>> is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
    False
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and _WORDS.search(str(error)) is not None


@contextmanager
def explain_out_of_memory(
    settings: Settings, phase: Callable[[], Phase], again: str = "trainer.accelerator=cpu"
) -> Iterator[None]:
    """Turn an out-of-memory error within the block into one line; what held the memory is let go.

    Args:
        settings: All settings of the job.
        phase: Tells what the job was doing; asked only after such an error.
        again: How the command is told to score on the CPU.

    Raises:
        UserError: Naming the batch size, what of the run is kept, and what to try in order.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        # The next job of a sweep needs what the frames of the error still hold.
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        place = _place(error)
        now = phase()
        if now == "reading":
            raise UserError(_reading(settings, place)) from error
        if now == "training":
            raise UserError(out_of_memory_in_training(settings, place)) from error
        raise UserError(_scoring(settings, place, again)) from error


def phase_of(run: RunDirectory) -> Phase:
    """What a job was doing when it ended, by what its run directory holds."""
    if not run.config.is_file():
        return "reading"
    return "scoring" if run.read_training()["finished"] else "training"


def out_of_memory_in_training(settings: Settings, place: str) -> str:
    """Say in one line that training ran out of memory, and what to try in order.

    Args:
        settings: All settings of the job.
        place: Whose memory it was, such as ``the GPU (79.10 GiB)``.

    Returns:
        The line. Of a run with complete epochs it tells first what goes on from the last of them.
    """
    batch_size = settings.dataset.batch_size
    said = f"out of memory on {place} in training at dataset.batch_size={batch_size}"
    tries = _training_tries(settings, place)
    epochs = RunDirectory.of(settings).read_training()["epochs"]
    if epochs == 0:
        return (
            f"{said}; no epoch is complete, so nothing is lost: type the same command with, in "
            f"this order, {', '.join(tries)}; add overwrite=true this once"
        )
    same = [word for word in tries if _keeps_training(word)]
    other = [word for word in tries if word not in same]
    go_on = f" with {', '.join(same)}, or" if same else ""
    return (
        f"{said}; nothing is lost: the same command resumes after epoch {epochs}{go_on} once more "
        f"memory is free; or start another training with run_name=NAME and, in this order, "
        f"{', '.join(other)}"
    )


def _training_tries(settings: Settings, place: str) -> list[str]:
    dataset, trainer, entry = settings.dataset, settings.trainer, settings.entry
    tries = []
    if dataset.batch_size > 1:
        tries.append(f"dataset.batch_size={dataset.batch_size // 2}")
    if settings.entry.checkpoints_activations and not trainer.activation_checkpointing:
        tries.append("trainer.activation_checkpointing=true")
    if "GPU" in place and dataset.images_on != "host":
        tries.append("dataset.images_on=host")
    if entry.mixed_precision and trainer.precision in ("32-true", "64-true"):
        tries.append("trainer.precision=bf16-mixed")
    if entry.fitted:
        tries.append("method.max_train_images=N")
    return [*tries, f"a resolution below {settings.resolution}"]


def _keeps_training(word: str) -> bool:
    name, is_setting, _ = word.partition("=")
    return bool(is_setting) and not makes_another_training(name)


def _scoring(settings: Settings, place: str, on_cpu: str) -> str:
    batch_size = settings.score.batch_size
    tries = [f"score.batch_size={batch_size // 2}"] if batch_size > 1 else []
    if "GPU" in place:
        tries.append(on_cpu)
    if len(settings.score.names) > 1:
        tries.append(f"one score at a time, such as score={settings.score.names[0]}")
    tries.append("ending other programs")
    return (
        f"out of memory on {place} in scoring at score.batch_size={batch_size}; the training is "
        f"kept: type the same command with, in this order, {', '.join(tries)}"
    )


def _reading(settings: Settings, place: str) -> str:
    dataset = settings.dataset
    tries = ["ending other programs"]
    if dataset.storage != "disk":
        tries.insert(0, "dataset.storage=disk")
    return (
        f"out of memory on {place} in reading {dataset.name} at resolution="
        f"{settings.resolution} (dataset.storage={dataset.storage}); nothing is lost: type "
        f"the same command with, in this order, {', '.join(tries)}"
    )


def _place(error: BaseException) -> str:
    text = str(error)
    if type(error).__name__ != "OutOfMemoryError" and not _GPU.search(text):
        return "the CPU"
    capacity = _CAPACITY.search(text)
    return "the GPU" if capacity is None else f"the GPU ({capacity[1]})"

"""One-line errors for out of memory: the phase, what is kept, and the remedies in order."""

import errno
import gc
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from cyclegan_ad.errors import UserError
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.settings.train import Settings, makes_another_training

Phase = Literal["reading", "training", "scoring"]

# Messages of torch and its libraries that have no exception class of their own.
_WORDS = re.compile(
    r"out of memory|can't allocate memory|not enough memory|_ALLOC_FAILED|Cannot allocate memory"
    r"|std::bad_alloc",
    re.IGNORECASE,
)
_GPU = re.compile(r"CUDA|CUDNN|CUBLAS|HIP\b", re.IGNORECASE)
_CAPACITY = re.compile(r"total capacity of (\d[\d.]* [KMG]iB)")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a GPU or the CPU is out of memory."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and _WORDS.search(str(error)) is not None


@contextmanager
def explain_out_of_memory(
    settings: Settings, phase: Callable[[], Phase], on_cpu: str = "trainer.accelerator=cpu"
) -> Iterator[None]:
    """Turn an out-of-memory error in the block into a ``UserError``, and free the memory.

    Raises:
        UserError: Naming the batch size, what is kept, and the remedies in order.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        # The frames of the traceback hold memory that the next job of a sweep needs.
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        raise UserError(describe(settings, phase(), _place(error), on_cpu)) from error


def phase_of(run: RunDirectory) -> Phase:
    """Derive the phase in which a job ended from its run directory."""
    if not run.config.is_file():
        return "reading"
    return "scoring" if run.read_training()["finished"] else "training"


def describe(
    settings: Settings, phase: Phase, place: str, on_cpu: str = "trainer.accelerator=cpu"
) -> str:
    """Describe in one line where memory ran out, what is kept, and the remedies in order."""
    dataset = settings.dataset
    doing = {
        "reading": f"reading {dataset.name} at resolution={settings.resolution} "
        f"(dataset.storage={dataset.storage})",
        "training": f"training at dataset.batch_size={dataset.batch_size}",
        "scoring": f"scoring at score.batch_size={settings.score.batch_size}",
    }[phase]
    epochs = RunDirectory.of(settings).read_training()["epochs"] if phase == "training" else 0
    kept = "the training is kept" if phase == "scoring" else "nothing is lost"
    tries = list(_remedies(settings, phase, place, on_cpu))
    if epochs:
        kept = f"the checkpoint of epoch {epochs} is kept"
        tries = [word if _keeps_training(word) else f"{word} run_name=NAME" for word in tries]
    return (
        f"out of memory on {place} while {doing}; {kept}; run the same command again with, in this "
        f"order: {', '.join(tries)}"
    )


def _remedies(settings: Settings, phase: Phase, place: str, on_cpu: str) -> Iterator[str]:
    dataset, trainer, score = settings.dataset, settings.trainer, settings.score
    on_gpu = "GPU" in place
    if phase == "training":
        if dataset.batch_size > 1:
            yield f"dataset.batch_size={dataset.batch_size // 2}"
        if settings.entry.checkpoints_activations and not trainer.activation_checkpointing:
            yield "trainer.activation_checkpointing=true"
        if on_gpu and dataset.images_on != "host":
            yield "dataset.images_on=host"
        if settings.entry.mixed_precision and trainer.precision in ("32-true", "64-true"):
            yield "trainer.precision=bf16-mixed"
        if settings.entry.fitted:
            yield "method.max_train_images=N"
        yield f"a resolution below {settings.resolution}"
        return
    if phase == "reading" and dataset.storage != "disk":
        yield "dataset.storage=disk"
    if phase == "scoring":
        if score.batch_size > 1:
            yield f"score.batch_size={score.batch_size // 2}"
        if on_gpu:
            yield on_cpu
        if len(score.names) > 1:
            yield f"one score at a time (score={score.names[0]})"
    yield "other programs closed"


def _keeps_training(word: str) -> bool:
    name, is_setting, _ = word.partition("=")
    return bool(is_setting) and not makes_another_training(name)


def _place(error: BaseException) -> str:
    text = str(error)
    if type(error).__name__ != "OutOfMemoryError" and not _GPU.search(text):
        return "the CPU"
    capacity = _CAPACITY.search(text)
    return "the GPU" if capacity is None else f"the GPU ({capacity[1]})"

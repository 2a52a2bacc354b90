"""How long a training will take, said once after its first steps."""

from cyclegan_ad.device import choose_device, describe_device
from cyclegan_ad.reference.quick import quicker_settings
from cyclegan_ad.settings.train import Settings

LONG_S = 3600.0  # above it, a CPU is told what is quicker
_SHORT_S = 60.0  # over before it is read


def describe_estimate(settings: Settings, seconds: float) -> list[str]:
    """Say how long the rest of a training will take, and what is quicker if that is long.

    Args:
        settings: Settings without ``auto``.
        seconds: Estimated time to its end.

    Returns:
        Lines to print; none for less than a minute.
    """
    if seconds < _SHORT_S:
        return []
    device = choose_device(settings.trainer.accelerator)
    named = describe_device(device, settings.trainer.processes)
    lines = [f"estimate after the first steps: about {roughly(seconds)} on this {named}"]
    if seconds > LONG_S and device.type == "cpu" and (quicker := quicker_settings(settings)):
        lines.append(quicker)
    return lines


def roughly(seconds: float) -> str:
    """Write a duration in minutes, hours or days, with two or three digits.

    >>> roughly(70), roughly(3700), roughly(36 * 3600), roughly(10 * 86400)
    ('1 min', '62 min', '36 h', '10 days')
    """
    if seconds < 2 * 3600:
        return f"{max(1, round(seconds / 60))} min"
    if seconds < 3 * 86400:
        return f"{round(seconds / 3600)} h"
    return f"{round(seconds / 86400)} days"

"""Numbers and marks as tables and sentences write them."""

# Marks of the paper's figures: does not describe the method; ours has other settings.
FLAG, UNLIKE = "†", "‡"

NOTHING = "-"  # written for a missing number


def in_ascii(text: str) -> str:
    """Spell plus-minus and the marks of the paper's figures in ASCII.

    >>> in_ascii("97.14 ± 0.52†‡")
    '97.14 +- 0.52*#'
    """
    return text.replace("±", "+-").replace(FLAG, "*").replace(UNLIKE, "#")


def duration(seconds: float) -> str:
    """Write a number of seconds as h:mm:ss or m:ss.

    >>> duration(75), duration(3 * 3600 + 62)
    ('1:15', '3:01:02')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def percent(fraction: float | None, digits: int = 2) -> str:
    """Write a fraction in percent, without the sign.

    >>> percent(0.97143), percent(None)
    ('97.14', '-')
    """
    return NOTHING if fraction is None else f"{100 * fraction:.{digits}f}"

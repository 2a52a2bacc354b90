"""Ranks among the values seen, and the counts that they are computed from."""

import json
import math

import numpy as np
import pytest

from cyclegan_ad.metrics.seen_values import SeenValues


def test_ranks_by_hand() -> None:
    seen = SeenValues([1.0, 2.0, 2.0, 5.0])
    assert len(seen) == 4 and seen.sum() == 10.0
    assert seen.p_value(0.5, 0.25) == 0.25 / 5  # below all: alone in the first of 5 places
    assert seen.p_value(2.0, 0.5) == (1 + 0.5 * 3) / 5  # among three equal ones
    assert seen.p_value(9.0, 0.25) == 4.25 / 5
    assert SeenValues().p_value(-3.0, 0.25) == 0.25


def test_against_plain_counting() -> None:
    random = np.random.default_rng(0)
    values = np.round(random.normal(size=300), 1)  # many ties, both signs, zero
    uniforms = random.random(300)
    seen = SeenValues(values[:20])
    for i in range(20, 300):
        less, equal = (values[:i] < values[i]).sum(), (values[:i] == values[i]).sum()
        expected = (less + uniforms[i] * (equal + 1)) / (i + 1)
        assert seen.p_value(values[i], uniforms[i]) == pytest.approx(expected)
        seen.add(values[i])


def test_memory_is_bounded_and_rounding_is_small() -> None:
    seen = SeenValues(np.random.default_rng(1).uniform(1, 10, 20_000))
    assert len(seen) == 20_000 and len(seen.as_dict()["values"]) <= 3400 + 2
    for value in (1 / 3, -1e-9, 12345.6789):
        assert SeenValues([value]).sum() == pytest.approx(value, rel=5e-4)


def test_what_is_stored_comes_back() -> None:
    seen = SeenValues([0.1, -0.1, 0.1, 0.0])
    again = SeenValues.parse(json.loads(json.dumps(seen.as_dict())))
    assert again.as_dict() == seen.as_dict() and len(again) == 4


@pytest.mark.parametrize(
    ("values", "counts"),
    [([1.0, 1.0], [1, 1]), ([2.0, 1.0], [1, 1]), ([1.0], [0]), ([1.0], [1, 1]), ([1.0], [True])],
)
def test_damaged_content(values: list[float], counts: list[int]) -> None:
    with pytest.raises(ValueError):
        SeenValues.parse({"values": values, "counts": counts})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none(value: float) -> None:
    with pytest.raises(ValueError):
        SeenValues().add(value)

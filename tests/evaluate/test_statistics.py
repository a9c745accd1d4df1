import pytest

from toolagent.evaluate.statistics import Interval, bootstrap, table


def test_the_mean_of_three_right_of_four():
    found = bootstrap([1, 1, 1, 0])
    # a resample of four has k right with probability C(4,k) 3^k / 4^4: all right 81/256, one or none 13/256 = 5.1%
    assert (found.value, found.high, found.n) == (0.75, 1.0, 4)
    assert found.low == 0.25


def test_a_micro_average_is_a_ratio_of_sums():
    assert bootstrap([2, 0], [2, 6]).value == 0.25  # not (1 + 0) / 2


def test_the_same_seed_gives_the_same_interval():
    values = [k % 3 == 0 for k in range(50)]
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values, seed=1) != bootstrap(values)


def test_the_interval_is_about_two_standard_errors():
    found = bootstrap([1] * 50 + [0] * 50)  # the standard error of a half is sqrt(.25 / 100) = .05
    assert found.low == pytest.approx(0.40, abs=0.015) and found.high == pytest.approx(0.60, abs=0.015)


def test_nothing_to_find_and_nothing_found_is_right():
    assert bootstrap([0, 0], [0, 0]) == Interval(1.0, 1.0, 1.0, 2)


def test_no_cases_is_an_error():
    with pytest.raises(ValueError, match="no cases"):
        bootstrap([])


def test_figures_stand_to_the_right():
    assert table([("name", "n", "strict"), ("all", 12, Interval(0.5, 0.25, 0.75, 12)), ("mail", 3, "-")]) == (
        "name   n             strict\n"
        "---------------------------\n"
        "all   12  50.0 [25.0, 75.0]\n"
        "mail   3                  -"
    )  # fmt: skip

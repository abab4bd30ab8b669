# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject


def test_numbers_and_matrices_are_read():
    values = JsonObject({"a": [1, 2.5], "b": [[1, 2], [3, 4]]}, "x.json")
    np.testing.assert_array_equal(values.numbers("a", 2), np.array([1, 2.5], np.float32))
    np.testing.assert_array_equal(values.matrix("b", 2, 2), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    "value", [[[1.0], 2.0], [1.0, [2.0]], [[1, 2], [3, 4]], [1, None], [1, True]]
)
def test_a_list_that_holds_other_than_numbers_is_refused_by_name(value):
    with pytest.raises(BadInputError, match=r"x\.json: 'a' must be a list of 2 finite numbers"):
        JsonObject({"a": value}, "x.json").numbers("a", 2)

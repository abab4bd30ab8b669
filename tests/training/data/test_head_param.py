# SPDX-License-Identifier: GPL-3.0-or-later
import zipfile

import numpy as np

from training.data.layout_head_param import HeadParam, load_head_param, save_head_param


def test_a_timestep_holds_its_own_arrays_and_nothing_else(tmp_path):
    path = tmp_path / "00000.npz"
    param = HeadParam("default", np.zeros(2, np.float32), ("a", "b"), np.eye(4, dtype=np.float32))
    save_head_param(param, path)
    with zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
    assert names == {"head", "expression", "expression_names", "head_matrix"}
    assert load_head_param(path).expression_names == ("a", "b")

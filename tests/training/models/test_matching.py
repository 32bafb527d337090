from __future__ import annotations

import pytest
import torch
from training.toy import small_model

from attneval.errors import DataError
from attneval.training.models.table import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_state_dicts_go_round(name: str) -> None:
    first, second = small_model(name, seed=1), small_model(name, seed=2)
    second.load_state_dicts(first.state_dicts(), "file")
    for key, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], value)


def test_counters_of_old_files_may_be_missing() -> None:
    states = small_model("saf").state_dicts()
    old = [{k: v for k, v in state.items() if not k.endswith("num_batches_tracked")} for state in states]
    small_model("saf", seed=2).load_state_dicts(old, "file")


def test_refuses_and_loads_nothing() -> None:
    model = small_model("scan-t2i", seed=1)
    other = small_model("scan-t2i", seed=2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    image, text = other.state_dicts()
    with pytest.raises(DataError, match=r"a\.tar: scan-t2i has 2 state dicts, this file has 3"):
        model.load_state_dicts([image, text, text], "a.tar")
    strange = {"e" if key == "embed.weight" else key: value for key, value in text.items()}
    with pytest.raises(DataError, match=r"a.tar: model\[1\] is not of this model: it lacks embed.weight.* unknown e"):
        model.load_state_dicts([image, strange], "a.tar")
    with pytest.raises(DataError, match=r"a.tar: model\[1\]: embed.weight has shape \[3, 6\], this model \[30, 6\]"):
        model.load_state_dicts([image, {**text, "embed.weight": text["embed.weight"][:3]}], "a.tar")
    with pytest.raises(DataError, match=r"a.tar: model\[0\]: fc.bias is float, not a tensor"):
        model.load_state_dicts([{**image, "fc.bias": 1.0}, text], "a.tar")
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])

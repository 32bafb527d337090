from __future__ import annotations

from argparse import Namespace

import pytest
import torch
from training.authors import PARTS, V, author_checkpoint
from training.toy import small_model

from attneval.errors import DataError
from attneval.training.models.table import MODELS, model_config
from attneval.training.run.config import TrainConfig
from attneval.training.run.options import from_options, to_options


@pytest.mark.parametrize("name", PARTS)
def test_sizes_and_choices_of_author_files(name: str) -> None:
    content = author_checkpoint(name)
    config = from_options(content["opt"], content["model"], "file")
    options = vars(content["opt"])
    expected = model_config(
        name,
        V,
        temperature=options.get("lambda_softmax", 9.0),
        weight_norm=name == "scan-i2t",
        **({"pooling": options["agg_func"]} if "agg_func" in options else {}),
        **({"pooling_temperature": options["lambda_lse"]} if "lambda_lse" in options else {}),
    )
    assert config == expected


@pytest.mark.parametrize("name", MODELS)
def test_our_options_say_the_same(name: str) -> None:
    model = small_model(name, layers=2, normalise_images=False, raw_norm="clipped_l2norm")
    options = to_options(TrainConfig(model=model.config, data="d"))
    found = from_options(options, model.state_dicts(), "file")
    defaults = model_config(name, 30)
    # Sizes that only SGRAF's tensors tell stay at their defaults elsewhere; nothing else uses them.
    sizes = () if name in ("sgr", "saf") else ("sim_dim", "regions")
    for field in vars(found):
        assert getattr(found, field) == getattr(defaults if field in sizes else model.config, field), field


def test_what_a_file_cannot_tell() -> None:
    content = author_checkpoint("scan-t2i")
    with pytest.raises(DataError, match=r"a\.tar: does not say which model it is; name the model"):
        from_options(None, content["model"], "a.tar")
    assert from_options(None, content["model"], "a.tar", "bfan-prob").name == "bfan-prob"
    with pytest.raises(DataError, match=r"a\.tar: is no checkpoint of sgr"):
        from_options(None, [{}, {}, {}], "a.tar", "sgr")
    with pytest.raises(DataError, match=r"a\.tar: there is no model 'scan-both'; choose from"):
        from_options(Namespace(cross_attn="both"), content["model"], "a.tar")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("raw_feature_norm", "foo", "raw_norm must be one of"),
        ("lambda_softmax", "9", "temperature must be float"),
        ("lambda_lse", 0.0, "pooling_temperature must be above 0"),
    ],
)
def test_odd_options_are_those_of_a_file(option: str, value: object, message: str) -> None:
    content = author_checkpoint("scan-t2i")
    setattr(content["opt"], option, value)
    with pytest.raises(DataError, match=rf"a\.tar: .*{message}"):
        from_options(content["opt"], content["model"], "a.tar")


def test_layers_are_counted() -> None:
    states = small_model("scan-t2i", layers=3, bidirectional=False).state_dicts()
    found = from_options(None, states, "file", "scan-t2i")
    assert (found.layers, found.bidirectional, found.embed_dim, found.word_dim) == (3, False, 8, 6)
    assert isinstance(states[0]["fc.weight"], torch.Tensor)

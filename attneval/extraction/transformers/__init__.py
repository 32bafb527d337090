"""Models of transformers turned into attention exports.

>>> from attneval.extraction import transformers as hf  # doctest: +SKIP
>>> hf.export(model, processor, hf.pairs("flickr30k-images", "flickr30k_entities"), "maps.npz")  # doctest: +SKIP
"""

from __future__ import annotations

from attneval.config.extras import to_install
from attneval.errors import MissingPackageError

try:
    import torch  # noqa: F401 - looked for
except ModuleNotFoundError as error:
    message = "models of transformers need PyTorch, which is not installed"
    raise MissingPackageError(message, hint=to_install("hf")) from error

# Functions that have the name of their module are imported here and not when they are used: afterwards the package's
# attribute is the function, whatever is imported later.
from attneval.extraction.transformers.adapters import choose_adapter
from attneval.extraction.transformers.capture import capture
from attneval.extraction.transformers.check import check
from attneval.extraction.transformers.choices import Choices
from attneval.extraction.transformers.driver import Exported, export
from attneval.extraction.transformers.families.base import Adapter, CaptionMap, Prepared
from attneval.extraction.transformers.families.causal import Causal
from attneval.extraction.transformers.families.cross import Cross
from attneval.extraction.transformers.families.detector import Detector
from attneval.extraction.transformers.families.dual import Dual
from attneval.extraction.transformers.families.inputs import encode_captions
from attneval.extraction.transformers.families.joint import Joint
from attneval.extraction.transformers.geometry import geometry
from attneval.extraction.transformers.load import load
from attneval.extraction.transformers.loops import Batch, batches
from attneval.extraction.transformers.pairs import Pair, Pairs, pairs
from attneval.extraction.transformers.plan import LIMIT
from attneval.extraction.transformers.regions import Boxes, Grid
from attneval.extraction.transformers.text import Tokens

__all__ = [
    "LIMIT",
    "Adapter",
    "Batch",
    "Boxes",
    "CaptionMap",
    "Causal",
    "Choices",
    "Cross",
    "Detector",
    "Dual",
    "Exported",
    "Grid",
    "Joint",
    "Pair",
    "Pairs",
    "Prepared",
    "Tokens",
    "batches",
    "capture",
    "check",
    "choose_adapter",
    "encode_captions",
    "export",
    "geometry",
    "load",
    "pairs",
]

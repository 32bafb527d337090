"""SGRAF: similarity reasoning and attention filtration (Diao et al., AAAI 2021).

Words attend to regions as in SCAN. A word and what it attends to, and the whole image and the whole caption, are
compared by similarity vectors rather than numbers. SGR reasons over them as the nodes of a graph, SAF weighs them
by gates. What the paper calls SGRAF is the mean of the scores of an SGR and a SAF model trained separately.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from attneval.errors import DataError
from attneval.training.models.attention import T2I, AttentionMaps, Fragments, Pairs, attention_weights
from attneval.training.models.encoders import TextEncoder, xavier
from attneval.training.models.matching import MatchingModel
from attneval.training.models.normalisation import l2norm, softmax_of_few

if TYPE_CHECKING:
    from attneval.training.data.batches import CaptionBatch, ImageBatch
    from attneval.training.run.config import ModelConfig

DROPOUT = 0.4


class SelfAttention(nn.Module):
    """One vector for a whole image or caption: its fragments, weighed by how they fit their mean.

    Args:
        dim: Size of the vectors.
        regions: Number of regions of every image, for the image side with its batch norm; None for captions.
    """

    def __init__(self, dim: int, regions: int | None) -> None:
        super().__init__()
        self.embedding_local = self._embedding(dim, regions)
        self.embedding_global = self._embedding(dim, None if regions is None else dim)
        self.embedding_common = nn.Sequential(xavier(nn.Linear(dim, 1)))

    @staticmethod
    def _embedding(dim: int, channels: int | None) -> nn.Sequential:
        norm = [] if channels is None else [nn.BatchNorm1d(channels)]
        return nn.Sequential(xavier(nn.Linear(dim, dim)), *norm, nn.Tanh(), nn.Dropout(DROPOUT))

    def forward(self, fragments: Fragments) -> Tensor:
        """[N, D] unit vectors of the wholes."""
        vectors, mask = fragments.vectors, fragments.mask
        mean = vectors.sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
        fit = self.embedding_local(vectors) * self.embedding_global(mean)[:, None]
        logits = self.embedding_common(fit).squeeze(2)
        weights = logits.masked_fill(~mask, torch.finfo(logits.dtype).min).softmax(1)
        return l2norm(torch.bmm(weights[:, None], vectors).squeeze(1))


class GraphReasoning(nn.Module):
    """One step of SGR on a fully connected graph of similarity vectors.

    Args:
        dim: Size of a node.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.graph_query_w = xavier(nn.Linear(dim, dim))
        self.graph_key_w = xavier(nn.Linear(dim, dim))
        self.sim_graph_w = xavier(nn.Linear(dim, dim))

    def forward(self, nodes: Tensor, mask: Tensor | None, *, first_only: bool = False) -> Tensor:
        """Update the nodes.

        Args:
            nodes: [P, L, S].
            mask: [P, 1, L], true where a node is real; None if all are.
            first_only: Only the first node is needed afterwards.

        Returns:
            [P, L, S], or [P, 1, S] with `first_only`.
        """
        updated = nodes[:, :1] if first_only else nodes
        # Query . key = (Wq m + bq) . (Wk m' + bk). The part with bk is the same for every m', so the softmax
        # drops it, and the two maps of the rest are one.
        key = self.graph_key_w.weight.T
        asked = functional.linear(updated, key @ self.graph_query_w.weight, key @ self.graph_query_w.bias)
        logits = torch.bmm(asked, nodes.transpose(1, 2))
        if mask is not None:
            logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
        return functional.relu(self.sim_graph_w(torch.bmm(softmax_of_few(logits), nodes)))


class CaptionBatchNorm(nn.Module):
    """Batch norm of one channel with statistics of one caption against all images, as in the original.

    The original handles one caption after the other: each normalises by its own statistics and updates the running
    ones in turn. This does the same for several captions at once. In training they come from long to short, as the
    batches of the original are sorted (`attneval.training.losses.sparse_matching`). State as in `nn.BatchNorm1d(1)`.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))
        self.register_buffer("running_mean", torch.zeros(1))
        self.register_buffer("running_var", torch.ones(1))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """[M, N, L] values, real where [N, L] is true -> [M, N, L]."""
        mean, variance = self.running_mean, self.running_var
        if self.training:
            count = mask.sum(-1)[None, :, None] * len(values)
            mean = (values * mask).sum((0, 2), keepdim=True) / count
            variance = ((values - mean).square() * mask).sum((0, 2), keepdim=True) / count
            self._track(self.running_mean, mean)
            self._track(self.running_var, variance * count / (count - 1))
            self.num_batches_tracked += len(mask)
        return (values - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias

    @torch.no_grad()
    def _track(self, running: Tensor, values: Tensor) -> None:
        """Update a running statistic as if the captions' values came one after the other."""
        age = torch.arange(values.numel(), -1, -1, dtype=running.dtype, device=running.device)
        kept = (1 - self.momentum) ** age
        running.mul_(kept[0]).add_(self.momentum * (kept[1:] * values.flatten()).sum())


class AttentionFiltration(nn.Module):
    """SAF: similarity vectors, weighed by gates that sum to 1.

    Args:
        dim: Size of a similarity vector.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attn_sim_w = xavier(nn.Linear(dim, 1))
        self.bn = CaptionBatchNorm()

    def forward(self, nodes: Tensor, mask: Tensor) -> Tensor:
        """[M, N, L, S] nodes, real where [N, L] is true -> [M, N, S]."""
        gates = self.bn(self.attn_sim_w(nodes).squeeze(-1), mask).sigmoid() * mask
        gates = gates / (gates.sum(-1, keepdim=True) + 1e-8)
        return l2norm((gates[..., None, :] @ nodes).squeeze(-2))


class SimilarityEncoder(nn.Module):
    """From attended pairs to scores, by similarity vectors.

    Args:
        config: What the model is made of.
        module: `SGR` or `SAF`.
    """

    def __init__(self, config: ModelConfig, module: str) -> None:
        super().__init__()
        self.v_global_w = SelfAttention(config.embed_dim, config.regions)
        self.t_global_w = SelfAttention(config.embed_dim, None)
        self.sim_tranloc_w = xavier(nn.Linear(config.embed_dim, config.sim_dim))
        self.sim_tranglo_w = xavier(nn.Linear(config.embed_dim, config.sim_dim))
        self.sim_eval_w = xavier(nn.Linear(config.sim_dim, 1))
        if module == "SGR":
            self.SGR_module = nn.ModuleList(GraphReasoning(config.sim_dim) for _ in range(config.sgr_steps))
        else:
            self.SAF_module = AttentionFiltration(config.sim_dim)

    def nodes(self, images: Tensor, captions: Tensor, attended: Tensor, words: Tensor) -> Tensor:
        """The similarity vectors of pairs.

        Args:
            images: [.., D] whole images.
            captions: [.., D] whole captions.
            attended: [.., T, D] unit vectors of what each word attends to.
            words: [.., T, D] words.

        Returns:
            [.., T + 1, S] unit vectors: the whole first, then the words.
        """
        local = l2norm(self.sim_tranloc_w((attended - words).square()))
        whole = l2norm(self.sim_tranglo_w((images - captions).square()))
        return torch.cat([whole[..., None, :], local], dim=-2)


class _Sgraf(MatchingModel):
    """The part that SGR and SAF share."""

    module: str

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.txt_enc = TextEncoder(
            config.vocab_size,
            config.word_dim,
            config.embed_dim,
            layers=config.layers,
            bidirectional=config.bidirectional,
            normalise=config.normalise_captions,
            dropout=DROPOUT,
            rnn_name="cap_rnn",
        )
        self.sim_enc = SimilarityEncoder(config, self.module)

    @property
    def parts(self) -> list[nn.Module]:
        return [self.img_enc, self.txt_enc, self.sim_enc]

    def encode_images(self, images: ImageBatch) -> Fragments:
        if images.mask.shape[1] != self.config.regions or not bool(images.mask.all()):
            raise DataError(
                f"{self.config.name} was built for exactly {self.config.regions} regions an image; these images "
                f"have {int(images.mask.sum(1).min())} to {int(images.mask.sum(1).max())}"
            )
        regions = super().encode_images(images)
        return regions.with_whole(self.sim_enc.v_global_w(regions))

    def encode_captions(self, captions: CaptionBatch) -> Fragments:
        words = super().encode_captions(captions)
        return words.with_whole(self.sim_enc.t_global_w(words))

    def attend(self, pairs: Pairs) -> AttentionMaps:
        weights = attention_weights(pairs, T2I, raw_norm=self.config.raw_norm, temperature=self.config.temperature)
        return AttentionMaps(t2i=weights)

    def similarity(self, pairs: Pairs, maps: AttentionMaps) -> Tensor:
        images, captions = pairs.regions.whole, pairs.words.whole
        if maps.t2i is None or images is None or captions is None:
            raise TypeError("these pairs were not encoded and attended by an SGRAF model")
        nodes = self.sim_enc.nodes(
            pairs.by_image(images),
            pairs.by_caption(captions),
            l2norm(pairs.attended(maps.t2i)),
            pairs.by_caption(pairs.words.vectors),
        )
        mask = functional.pad(pairs.words.mask, (1, 0), value=True)
        score: Tensor = self.sim_enc.sim_eval_w(self.reasoned(nodes, mask, pairs)).squeeze(-1)
        return score.sigmoid()

    def fragment_similarity(self, queries: Tensor, attended: Tensor, *, fixed: bool = False) -> Tensor:
        """The score of a similarity vector by itself, in 0..1, without graph or gates."""
        learned = (self.sim_enc.sim_tranloc_w, self.sim_enc.sim_eval_w)
        (local, local_bias), (last, last_bias) = (
            (layer.weight.detach(), layer.bias.detach()) if fixed else (layer.weight, layer.bias) for layer in learned
        )
        vector = l2norm(functional.linear((l2norm(attended) - queries).square(), local, local_bias))
        return functional.linear(vector, last, last_bias).squeeze(-1).sigmoid()

    @abstractmethod
    def reasoned(self, nodes: Tensor, mask: Tensor, pairs: Pairs) -> Tensor:
        """One similarity vector [.., S] from the nodes [.., T + 1, S], of which [N, T + 1] are real."""

    def numbers_per_pair(self, words: int, regions: int) -> int:
        return words * (8 * regions + 3 * self.config.embed_dim + 4 * self.config.sim_dim)


class Sgr(_Sgraf):
    """Similarity graph reasoning: the whole's node after some steps of message passing."""

    module = "SGR"

    def reasoned(self, nodes: Tensor, mask: Tensor, pairs: Pairs) -> Tensor:
        """The first of the nodes [.., T + 1, S] after the last graph step."""
        real = None
        if pairs.words.ragged:
            real = pairs.by_caption(mask).expand(nodes.shape[:-1]).reshape(-1, 1, nodes.shape[-2])
        flat = nodes.flatten(0, -3)
        for step in self.sim_enc.SGR_module:
            flat = step(flat, real, first_only=step is self.sim_enc.SGR_module[-1])
        return flat.reshape(*nodes.shape[:-2], nodes.shape[-1])


class Saf(_Sgraf):
    """Similarity attention filtration: the gated sum of the nodes."""

    module = "SAF"
    scores_pairs_one_by_one = False  # its batch norm sees a caption against all images

    def reasoned(self, nodes: Tensor, mask: Tensor, pairs: Pairs) -> Tensor:
        """The gated sum of the nodes [.., T + 1, S]."""
        # Matched pairs are seen as one image against its own caption.
        grid = nodes[None] if pairs.matched else nodes
        filtered: Tensor = self.sim_enc.SAF_module(grid, mask)
        return filtered[0] if pairs.matched else filtered

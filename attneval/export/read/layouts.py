"""Telling the layouts of exports apart, and saying what looks like one but is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.errors import ExportError, first_of

if TYPE_CHECKING:
    from attneval.storage.archive import Members

_PACKED = {"format", "attention", "image_id", "caption_image"}
_PADDED = {"attn", "caption_ids", "words"}
_MEANT = {
    "attn": ("attention", "attentions", "attn_weights", "attention_weights", "attention_maps", "maps", "weights"),
    "words": ("tokens", "token", "word", "text_tokens", "input_tokens"),
    "caption_ids": ("caption_id", "captions_id", "ids", "sentence_ids", "sent_ids", "cap_ids"),
    "boxes": ("box", "bbox", "bboxes", "rois", "regions"),
    "image_ids": ("image_id", "img_ids", "img_id"),
}
"""Members of the padded layout, and what people call them."""


def is_packed(members: Members) -> bool:
    """Tell the packed layout from the padded one: True if the members are of the former.

    Raises:
        ExportError: They are of neither, or of both.
    """
    path, names = members.path, set(members.names)
    packed, padded = names & _PACKED, names & _PADDED
    if packed and padded:
        _refuse_misnamed(members)
        raise ExportError(f"{path} mixes the packed and the padded layout: {', '.join(members.names)}")
    if packed or padded:
        if packed == {"attention"} and not names & {"token_offset", "attention_offset"}:
            _refuse_misnamed(members)
        return bool(packed)
    _refuse_folder(members)
    _refuse_misnamed(members)
    raise ExportError(
        f"{path} is no attention export; its members are {first_of(members.names, show=12) or 'none'}",
        hint="it needs attn, words, caption_ids and boxes, or the packed layout's members",
    )


def _refuse_misnamed(members: Members) -> None:
    """Refuse members of the padded layout under other names."""
    names = set(members.names)
    if "format" in names:
        return
    wrong = {
        alias: name
        for name, aliases in _MEANT.items()
        for alias in aliases
        if alias in names and name not in names and (alias != "attention" or len(members.shape(alias)) > 1)
    }
    if wrong:
        called = ", ".join(f"{alias} is called {name}" for alias, name in wrong.items())
        raise ExportError(
            f"{members.path} is no attention export: in the padded layout {called}; its members are "
            f"{first_of(members.names, show=12)}",
            hint=f"np.savez(path, {', '.join(f'{name}={alias}' for alias, name in wrong.items())}, ...)",
        )


def _refuse_folder(members: Members) -> None:
    """Refuse members that stand in a folder of the zip file, as when a folder of arrays was packed."""
    folders = {name.rpartition("/")[0] for name in members.names}
    if len(folders) == 1 and folders != {""}:
        raise ExportError(
            f"{members.path}: its members stand in the folder {folders.pop()!r} of the zip file",
            hint="zip the .npy files themselves, not their folder: cd FOLDER && zip -0 ../maps.npz *.npy",
        )

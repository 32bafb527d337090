"""Reading annotations: the layouts they come in, their quirks, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from attneval.errors import GroundTruthError
from attneval.groundtruth import FORMATS, GroundTruth, open_ground_truth
from attneval.groundtruth.columns import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

PixelBox = tuple[int, int, int, int]

# ---------------------------------------------------------------- Flickr30k Entities: writing


def thing(names: str, box: PixelBox | None = None, scene: int = 0) -> str:
    """An `object` element of several names, with a box or without."""
    named = "".join(f"<name>{name}</name>" for name in names.split())
    if box is None:
        return f"<object>{named}<scene>{scene}</scene><nobndbox>1</nobndbox></object>"
    edges = "".join(
        f"<{edge}>{value}</{edge}>" for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object>{named}<bndbox>{edges}</bndbox></object>"


def annotation(*objects: str, width: object = 100, height: object = 80) -> str:
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>x.jpg</filename>{size}{''.join(objects)}</annotation>"


def write_entities(root: Path, images: dict[str, tuple[str, str]]) -> Path:
    """Write images, each with the text of its two files."""
    for folder in ("Annotations", "Sentences"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for image_id, (boxes, sentences) in images.items():
        (root / f"Annotations/{image_id}.xml").write_text(boxes, encoding="utf-8")
        (root / f"Sentences/{image_id}.txt").write_bytes(sentences.encode("utf-8"))
    return root


def write_zip(path: Path, folder: Path, prefix: str = "", extra: tuple[str, ...] = ()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in extra:
            archive.writestr(name, b"\0")
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, prefix + str(file.relative_to(folder)))
    return path


def read(root: Path, *image_ids: str, edges: str = "pixel") -> GroundTruth:
    source = open_ground_truth(root, edges=edges)
    return source.read(image_ids or source.image_ids())


def phrases(truth: GroundTruth, caption: int = 0) -> list[tuple[list[str], int]]:
    """The texts of the spans of each phrase of a caption, and its entity."""
    text = truth.text[caption]
    found = []
    for phrase in range(*truth.phrase_offset[caption : caption + 2].tolist()):
        spans = truth.span[slice(*truth.span_offset[phrase : phrase + 2].tolist())].tolist()
        found.append(([text[start:stop] for start, stop in spans], int(truth.phrase_entity[phrase])))
    return found


def boxes_of(truth: GroundTruth, entity: int) -> list[list[float]]:
    return [[float(edge) for edge in box] for box in truth.box[slice(*truth.box_offset[entity : entity + 2].tolist())]]


def types_of(truth: GroundTruth) -> list[list[str]]:
    return [[name for bit, name in enumerate(truth.types) if int(bits) >> bit & 1] for bits in truth.phrase_types]


TWO_IMAGES = {
    "20": (
        annotation(thing("1", (11, 21, 50, 60)), thing("1 2", (1, 1, 100, 80))),
        "[/EN#1/people A man] in [/EN#2/clothing/other a red hat] .\nNothing here .\n",
    ),
    "3": (
        annotation(thing("7", (2, 3, 4, 5)), width=10, height=20),
        "[/EN#7/animals The dog]\n[/EN#8/scene outside]\n",
    ),
}

# ---------------------------------------------------------------- Flickr30k Entities: layouts

LAYOUTS: dict[str, Callable[[Path, Path], Path]] = {
    "directory": lambda plain, _: plain,
    "directory one level down": lambda plain, _: plain.parent,
    "zip": lambda plain, out: write_zip(out / "any name.zip", plain),
    "zip one level down": lambda plain, out: write_zip(out / "a.zip", plain, prefix="release/"),
    "zip from a Mac": lambda plain, out: write_zip(out / "a.zip", plain, extra=("__MACOSX/Annotations/._3.xml",)),
    "directory with annotations.zip": lambda plain, out: write_zip(out / "annotations.zip", plain).parent,
    "directory with a deeper annotations.zip": lambda plain, out: (
        write_zip(out / "annotations.zip", plain, prefix="a/b/").parent
    ),
}


def described(truth: GroundTruth) -> dict[str, Any]:
    """Everything but where it was read from."""
    values = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(truth).items()}
    return values | {"text": list(truth.text)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("format_", ["auto", "entities"])
def test_layouts_read_the_same(tmp_path: Path, layout: str, format_: str) -> None:
    plain = write_entities(tmp_path / "deep" / "down", TWO_IMAGES)
    source = open_ground_truth(LAYOUTS[layout](plain, tmp_path / "out"), format_)
    assert source.format == "entities"
    assert sorted(source.image_ids()) == ["20", "3"]
    assert source.missing(["20", "21", "3", "x"]) == ["21", "x"]
    assert described(source.read(["20", "3"])) == described(read(plain, "20", "3"))


def test_columns_by_hand(tmp_path: Path) -> None:
    truth = read(write_entities(tmp_path, TWO_IMAGES), "3", "20")  # in the order asked for
    assert truth.image_id == ["3", "20"]
    assert truth.image_size.tolist() == [[10, 20], [100, 80]]
    assert truth.caption_offset.tolist() == [0, 2, 4]
    assert truth.caption_index.tolist() == [0, 1, 0, 1]
    assert list(truth.text) == ["The dog", "outside", "A man in a red hat .", "Nothing here ."]
    assert truth.phrase_offset.tolist() == [0, 1, 2, 4, 4]
    assert truth.span_offset.tolist() == [0, 1, 2, 3, 4]
    assert truth.span.tolist() == [[0, 7], [0, 7], [0, 5], [9, 18]]
    assert truth.phrase_entity.tolist() == [0, -1, 1, 2]
    assert types_of(truth) == [["animals"], ["scene"], ["people"], ["clothing", "other"]]
    assert truth.entity_offset.tolist() == [0, 1, 3]
    assert truth.box_offset.tolist() == [0, 1, 3, 4]
    assert truth.box.tolist() == [[1, 2, 4, 5], [10, 20, 50, 60], [0, 0, 100, 80], [0, 0, 100, 80]]
    assert truth.types == TYPES
    assert truth.warnings == ()
    assert truth.caption_name(1, 3) == "20#1"


def test_digests_are_of_the_files_read(tmp_path: Path) -> None:
    truth = read(write_entities(tmp_path, TWO_IMAGES), "3")
    assert {name: digest.hex() for name, digest in truth.digests.items()} == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("Annotations/3.xml", "Sentences/3.txt")
    }


def test_nothing_asked_nothing_read(tmp_path: Path) -> None:
    source = open_ground_truth(write_entities(tmp_path, TWO_IMAGES))
    truth = source.read([])
    assert (len(truth.text), len(truth.box), truth.caption_offset.tolist()) == (0, 0, [0])


# ---------------------------------------------------------------- Flickr30k Entities: quirks


def one_image(tmp_path: Path, sentences: str, *objects: str, edges: str = "pixel") -> GroundTruth:
    return read(write_entities(tmp_path, {"5": (annotation(*objects), sentences)}), edges=edges)


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        # Pixels count from 1 and the last one is inside: 11 to 50 are 40 pixels, from edge 10 to edge 50.
        ("pixel", [10, 20, 50, 60]),
        ("corner", [10, 20, 49, 59]),
    ],
)
def test_edges(tmp_path: Path, edges: str, expected: list[float]) -> None:
    truth = one_image(tmp_path, "[/EN#1/people A man]\n", thing("1", (11, 21, 50, 60)), edges=edges)
    assert truth.box.tolist() == [expected]


def test_a_box_of_several_chains_and_a_chain_of_several_boxes(tmp_path: Path) -> None:
    objects = [
        thing("1 2 3", (1, 1, 10, 10)),
        thing("2", (5, 5, 8, 8)),
        thing("4", (2, 2, 3, 3)),
        thing("2 1", (9, 9, 9, 9)),
    ]
    truth = one_image(tmp_path, "[/EN#2/people them] [/EN#1/people he] [/EN#3/other it]\n", *objects)
    assert [boxes_of(truth, entity) for _, entity in phrases(truth)] == [
        [[0, 0, 10, 10], [4, 4, 8, 8], [8, 8, 9, 9]],
        [[0, 0, 10, 10], [8, 8, 9, 9]],
        [[0, 0, 10, 10]],
    ]
    # Chain 4 is in no sentence; it stays, as one of the other entities of the image.
    assert truth.entity_offset.tolist() == [0, 4]
    assert len(truth.box) == 7


def test_phrases_that_mean_the_same_share_their_entity(tmp_path: Path) -> None:
    truth = one_image(
        tmp_path, "[/EN#1/people A man] and [/EN#1/people himself]\n[/EN#1/people He]\n", thing("1", (1, 1, 9, 9))
    )
    assert truth.phrase_entity.tolist() == [0, 0, 0]


def test_scenes_and_chains_without_a_box(tmp_path: Path) -> None:
    sentences = "[/EN#1/people A man] [/EN#2/scene outside] [/EN#3/other dusk] [/EN#4/scene a lake] [/EN#99/other x]"
    objects = [thing("1", (1, 1, 9, 9)), thing("2", scene=1), thing("3"), thing("4", (2, 2, 8, 8))]
    truth = one_image(tmp_path, sentences, *objects)
    assert [entity for _, entity in phrases(truth)] == [0, -1, -1, 1, -1]
    assert truth.entity_offset.tolist() == [0, 2]


def test_a_chain_with_a_box_and_an_entry_without_one_has_the_box(tmp_path: Path) -> None:
    truth = one_image(tmp_path, "[/EN#1/people A man]\n", thing("1"), thing("1", (1, 1, 9, 9)), thing("1", scene=1))
    assert truth.phrase_entity.tolist() == [0]
    assert truth.box.tolist() == [[0, 0, 9, 9]]


def test_types(tmp_path: Path) -> None:
    sentences = "[/EN#1/people/clothing a] [/EN#0/notvisual b] [/EN#1/other/notvisual c] [/EN#1/zebras/animals d]\n"
    truth = one_image(tmp_path, sentences, thing("1", (1, 1, 9, 9)))
    assert truth.types == (*TYPES, "zebras")
    assert types_of(truth) == [["people", "clothing"], [], ["other"], ["animals", "zebras"]]


def test_phrases_that_are_not_visual_have_no_entity(tmp_path: Path) -> None:
    truth = one_image(tmp_path, "[/EN#1/people A man] scratches [/EN#1/notvisual himself]\n", thing("1", (1, 1, 9, 9)))
    assert truth.phrase_entity.tolist() == [0, -1]


def test_images_without_any_box(tmp_path: Path) -> None:
    images = {
        "1": (annotation(), "[/EN#1/people A man]\n"),
        "2": (annotation(thing("1", (1, 1, 9, 9))), "[/EN#1/people A man]\n"),
        "3": (annotation(thing("1", scene=1)), "[/EN#1/scene outside]\n"),
    }
    truth = read(write_entities(tmp_path, images), "1", "2", "3")
    assert truth.entity_offset.tolist() == [0, 0, 1, 1]
    assert truth.phrase_entity.tolist() == [-1, 0, -1]


def test_text_that_is_not_ascii(tmp_path: Path) -> None:
    # Spans count code points: neither bytes nor UTF-16 units.
    sentences = "À côté , [/EN#1/people une fillette] 🐶🐶 tient [/EN#2/animals un 🐶 éveillé] .\n"
    truth = one_image(tmp_path, sentences, thing("1", (1, 1, 9, 9)), thing("2", (1, 1, 9, 9)))
    assert truth.text[0] == "À côté , une fillette 🐶🐶 tient un 🐶 éveillé ."
    assert truth.span.tolist() == [[9, 21], [31, 43]]
    assert [texts for texts, _ in phrases(truth)] == [["une fillette"], ["un 🐶 éveillé"]]


@pytest.mark.parametrize(
    ("sentences", "texts"),
    [
        ("[/EN#1/people A]\nb\n", ["A", "b"]),
        ("[/EN#1/people A]\nb", ["A", "b"]),
        ("[/EN#1/people A]\r\nb\r\n", ["A", "b"]),
        ("[/EN#1/people A]\r\nb\r\n\r\n", ["A", "b", ""]),
        ("\n[/EN#1/people A]\n\nb\n", ["", "A", "", "b"]),  # a blank line keeps its number
        ("[/EN#1/people A]\x0bx\u2028y\n", ["A\x0bx\u2028y"]),  # only a line feed ends a line
        ("", []),
        ("\n", [""]),
    ],
)
def test_lines(tmp_path: Path, sentences: str, texts: list[str]) -> None:
    truth = read(
        write_entities(
            tmp_path,
            {
                "1": (annotation(thing("1", (1, 1, 9, 9))), sentences),
                "2": (annotation(thing("1", (3, 3, 4, 4))), "before [/EN#1/people B]\n"),
            },
        )
    )
    assert list(truth.text) == [*texts, "before B"]
    assert truth.caption_offset.tolist() == [0, len(texts), len(texts) + 1]
    assert truth.caption_index.tolist() == [*range(len(texts)), 0]
    assert truth.span[-1].tolist() == [7, 8]
    assert truth.phrase_entity[-1] == 1 - (not truth.entity_offset[1])


def test_a_caption_that_is_one_phrase_and_phrases_side_by_side(tmp_path: Path) -> None:
    truth = one_image(tmp_path, "[/EN#1/people A][/EN#1/people B] [/EN#1/people C]\n", thing("1", (1, 1, 9, 9)))
    assert truth.text[0] == "AB C"
    assert truth.span.tolist() == [[0, 1], [1, 2], [3, 4]]


# ---------------------------------------------------------------- Flickr30k Entities: flaws


@pytest.mark.parametrize(
    ("line", "text", "found", "columns"),
    [
        ("[/EN#1/people a man walks .", "a man walks .", [], [1]),
        ("so [/EN#1/people a man [/EN#2/clothing in red] walks .", "so a man in red walks .", ["in red"], [4]),
        ("[/EN#1/people a [/EN#2/other b [/EN#1/people c]", "a b c", ["c"], [1, 17]),
        ("[/EN#1/people a] [/EN#2/other b", "a b", ["a"], [18]),
        ("[/EN#1/people a [x] b] [/EN#2/other c]", "a [x] b] c", ["c"], [1]),
        ("é🐶 [/EN#0/notvisual un [/EN#2/other b]", "é🐶 un b", ["b"], [4]),
    ],
)
def test_phrases_that_are_never_closed(
    tmp_path: Path, line: str, text: str, found: list[str], columns: list[int]
) -> None:
    objects = annotation(thing("1", (1, 1, 9, 9)), thing("2", (1, 1, 5, 5)))
    images = {"4": (objects, "fine .\n"), "9": (objects, f"[/EN#1/people fine] .\n{line}\n[/EN#2/other last]\n")}
    truth = read(write_entities(tmp_path, images), "4", "9")
    assert truth.text[2] == text
    assert [texts for texts, _ in phrases(truth, 2)] == [[part] for part in found]
    # The lines around it are read as ever.
    assert [phrases(truth, caption) for caption in (1, 3)] == [[(["fine"], 2)], [(["last"], 3)]]
    where = f"{tmp_path}: Sentences/9.txt line 2: the phrase opened at column"
    assert sorted(truth.warnings) == [f"{where} {c} is never closed; it is read as plain text" for c in columns]


@pytest.mark.parametrize("mark", ["[/EN#1 a man]", "[/EN#1/people]", "[/EN#/people a man]", "[/EN#1/ a man]"])
def test_marks_that_cannot_be_read_are_warned_about(tmp_path: Path, mark: str) -> None:
    truth = one_image(tmp_path, f"so {mark} walks .\n", thing("1", (1, 1, 9, 9)))
    (warning,) = truth.warnings
    assert warning == (
        f"{tmp_path}: Sentences/5.txt line 1: the phrase opened at column 4 lacks a chain, a type or words; "
        "it is read as plain text"
    )
    # Nothing is left of the mark that could be taken for words.
    assert truth.text[0] == f"so {'a man' if 'man' in mark else ''} walks ."
    assert phrases(truth) == []


def test_a_phrase_around_a_mark_that_cannot_be_read(tmp_path: Path) -> None:
    truth = one_image(tmp_path, "[/EN#1/people a [/EN#2 tall] man] walks .\n", thing("1", (1, 1, 9, 9)))
    assert truth.text[0] == "a tall man walks ."
    assert phrases(truth) == [(["a tall man"], 0)]
    assert [warning.partition(" line 1: ")[2] for warning in truth.warnings] == [
        "the phrase opened at column 17 lacks a chain, a type or words; it is read as plain text"
    ]


# ---------------------------------------------------------------- Flickr30k Entities: refusals

GOOD = (annotation(thing("1", (1, 1, 9, 9))), "[/EN#1/people A man]\n")
NO_EDGE = "<object><name>1</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax></bndbox></object>"


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        ("", "no element found"),
        ("<annotation><size>", "no element found"),
        ("this is no XML", "syntax error"),
        ("<annotation></annotation>", "size 0 x 0"),
        (annotation(width=0), "size 0 x 80"),
        (annotation(height=-3), "size 100 x -3"),
        (annotation(width="wide"), "invalid literal for int"),
        (annotation(width=""), "invalid literal for int"),
        (annotation(NO_EDGE), "invalid literal for int"),
        (annotation(thing("1", (1, 1, 9, 9)).replace(">9<", ">9.5<")), "invalid literal for int"),
        ("<?xml version='1.0' encoding='klingon'?><annotation/>", "klingon"),
        *((annotation(thing("1", box)), "box") for box in ((9, 1, 1, 9), (1, 9, 9, 1))),
    ],
)
def test_annotations_refused(tmp_path: Path, xml: str, why: str) -> None:
    write_entities(tmp_path, {"1": GOOD, "2": (xml, "A man\n"), "3": GOOD})
    with pytest.raises(GroundTruthError) as caught:
        read(tmp_path, "1", "2", "3")
    assert caught.value.message.startswith(f"{tmp_path}: Annotations/2.xml is no annotation (")
    assert why in caught.value.message


@pytest.mark.parametrize("layout", ["directory", "zip"])
@pytest.mark.parametrize("name", ["Annotations/3.xml", "Sentences/3.txt"])
def test_files_that_are_not_there(tmp_path: Path, layout: str, name: str) -> None:
    plain = write_entities(tmp_path / "plain", TWO_IMAGES)
    (plain / name).unlink()
    root = LAYOUTS[layout](plain, tmp_path)
    with pytest.raises(GroundTruthError) as caught:
        read(root, "20", "3")
    assert caught.value.message == f"{root} has no readable {name}"
    assert "Annotations/<id>.xml and Sentences/<id>.txt" in caught.value.hint


def test_sentences_that_are_not_utf8(tmp_path: Path) -> None:
    write_entities(tmp_path, {"1": GOOD, "2": GOOD})
    (tmp_path / "Sentences/2.txt").write_bytes("café\n".encode("latin-1"))
    with pytest.raises(GroundTruthError, match=r"Sentences/2\.txt is not UTF-8 .*position 3") as caught:
        read(tmp_path, "1", "2")
    assert caught.value.message.startswith(f"{tmp_path}: ")


def damaged_zip(tmp_path: Path, method: int) -> Path:
    """A zip file with one flipped byte inside the data of its only sentence file."""
    plain = write_entities(tmp_path / "plain", {"1": (GOOD[0], "[/EN#1/people A man] walks along .\n" * 5)})
    path = tmp_path / "annotations.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in ("Annotations/1.xml", "Sentences/1.txt"):
            archive.write(plain / name, name)
        offset = archive.getinfo("Sentences/1.txt").header_offset + 30 + len("Sentences/1.txt")
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_refused(tmp_path: Path, method: int) -> None:
    path = damaged_zip(tmp_path, method)
    with pytest.raises(GroundTruthError, match=r"has no readable Sentences/1\.txt"):
        read(path)


def test_a_zip_file_without_its_beginning_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", write_entities(tmp_path / "plain", {"1": GOOD}))
    data = path.read_bytes()
    central = data.index(b"PK\x01\x02")
    path.write_bytes(data[:central] + b"\0\0\0\0" + data[central + 4 :])
    with pytest.raises(GroundTruthError, match=r"a\.zip"):
        open_ground_truth(path)


def test_paths_that_hold_no_ground_truth(tmp_path: Path) -> None:
    with pytest.raises(GroundTruthError, match=r"nowhere does not exist.*annotations\.zip"):
        open_ground_truth(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(GroundTruthError, match=r"empty holds no ground truth .*Annotations/ and Sentences/"):
        open_ground_truth(tmp_path / "empty")
    (tmp_path / "half" / "Annotations").mkdir(parents=True)
    with pytest.raises(GroundTruthError, match="half holds no ground truth"):
        open_ground_truth(tmp_path / "half")
    other = write_zip(tmp_path / "other.zip", tmp_path / "empty", extra=("readme.txt",))
    with pytest.raises(GroundTruthError, match=r"other\.zip is no zip file with Annotations/ and Sentences/"):
        open_ground_truth(other)


# ---------------------------------------------------------------- grounding JSON


def caption_entry(number: int, caption: str, spans: list[list[list[int]]] | None, **given: object) -> dict[str, Any]:
    entry = {
        "id": number,
        "file_name": "36979.jpg",
        "width": "100",  # strings, as in MDETR's own files
        "height": "80",
        "caption": caption,
        "original_img_id": 36979,
        "sentence_id": number % 10,
    }
    return entry | ({} if spans is None else {"tokens_positive_eval": spans}) | given


def box_entry(number: int, image: int, bbox: list[float], positive: list[list[int]]) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "area": bbox[2] * bbox[3],
        "bbox": bbox,
        "tokens_positive": positive,
    }


#                1         2
#      0123456789012345678901234567
DOGS = "A dog and two dogs run , wow"


def write_json(path: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> Path:
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def write_dogs(path: Path, spans: list[list[list[int]]] | None) -> Path:
    images = [
        caption_entry(10, DOGS, spans),
        caption_entry(12, "A dog", spans and [[[0, 5]]]),
        caption_entry(20, "Elsewhere", spans and [[[0, 9]]], original_img_id="7", width=640, height=480),
    ]
    annotations = [
        box_entry(1, 10, [1.5, 2, 10, 20], [[0, 5]]),
        box_entry(2, 10, [30, 30, 5, 5], [[6, 9], [10, 18]]),
        box_entry(3, 10, [20, 20, 5, 5], [[10, 18]]),
        box_entry(4, 12, [1.5, 2, 10, 20], [[0, 5]]),
    ]
    return write_json(path, images, annotations)


def test_grounding_json_by_hand(tmp_path: Path) -> None:
    # One phrase of two spans, one without a box, one that two annotations overlap.
    path = write_dogs(tmp_path / "gt.json", [[[0, 1], [2, 5]], [[25, 28]], [[14, 18]], [[2, 9]]])
    source = open_ground_truth(path)
    assert source.format == "mdetr"
    assert source.image_ids() == ["36979", "7"]
    assert source.missing(["36979", "8", "7"]) == ["8"]
    truth = source.read(["7", "36979"])
    assert truth.image_id == ["7", "36979"]
    assert truth.image_size.tolist() == [[640, 480], [100, 80]]
    assert truth.caption_offset.tolist() == [0, 1, 3]
    assert truth.caption_index.tolist() == [0, 0, 2]
    assert list(truth.text) == ["Elsewhere", DOGS, "A dog"]
    assert phrases(truth, 0) == [(["Elsewhere"], -1)]
    # Phrases with the same boxes are one entity, in whichever caption of the image.
    assert phrases(truth, 1) == [(["A", "dog"], 0), (["wow"], -1), (["dogs"], 1), (["dog and"], 2)]
    assert phrases(truth, 2) == [(["A dog"], 0)]
    assert boxes_of(truth, 0) == [[1.5, 2, 11.5, 22]]
    assert boxes_of(truth, 1) == [[20, 20, 25, 25], [30, 30, 35, 35]]
    assert boxes_of(truth, 2) == [[1.5, 2, 11.5, 22], [30, 30, 35, 35]]
    assert truth.entity_offset.tolist() == [0, 0, 3]
    assert types_of(truth) == [[]] * 6
    assert truth.digests == {"gt.json": hashlib.sha256(path.read_bytes()).digest()}


def test_phrases_without_tokens_positive_eval(tmp_path: Path) -> None:
    truth = open_ground_truth(write_dogs(tmp_path / "gt.json", None)).read(["36979"])
    # The distinct tokens_positive, in order; the second and the third overlap.
    assert phrases(truth, 0) == [(["A dog"], 0), (["and", "two dogs"], 1), (["two dogs"], 1)]
    assert boxes_of(truth, 1) == [[20, 20, 25, 25], [30, 30, 35, 35]]
    assert phrases(truth, 1) == [(["A dog"], 0)]


def test_two_mentions_are_two_phrases(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "gt.json",
        [caption_entry(1, "dog , dog", [[[0, 3]], [[6, 9]]])],
        [box_entry(1, 1, [0, 0, 5, 5], [[0, 3], [6, 9]])],
    )
    assert phrases(open_ground_truth(path).read(["36979"])) == [(["dog"], 0), (["dog"], 0)]


def test_touching_spans_do_not_overlap(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "gt.json",
        [caption_entry(1, "redhat", [[[0, 3]], [[3, 6]]])],
        [box_entry(1, 1, [0, 0, 5, 5], [[0, 3]])],
    )
    assert phrases(open_ground_truth(path).read(["36979"])) == [(["red"], 0), (["hat"], -1)]


@pytest.mark.parametrize(
    ("given", "image_id"),
    [
        ({"original_img_id": 42, "original_id": 43}, "42"),
        ({"original_id": 43, "file_name": "1.jpg"}, "43"),
        ({"file_name": "flickr30k/36979.jpg"}, "36979"),
        ({"file_name": "COCO_val2014_000000391895.jpg"}, "391895"),
        ({"file_name": "000000391895.jpg"}, "000000391895"),
        ({}, "1"),
    ],
)
def test_what_an_image_is_called(tmp_path: Path, given: dict[str, object], image_id: str) -> None:
    entry = {"id": 1, "width": 10, "height": 10, "caption": "a", "tokens_positive_eval": []} | given
    source = open_ground_truth(write_json(tmp_path / "gt.json", [entry], []))
    assert source.image_ids() == [image_id]
    assert source.read([image_id]).caption_index.tolist() == [0]


def test_captions_without_a_number_are_counted(tmp_path: Path) -> None:
    entries = [
        {"id": k, "width": 10, "height": 10, "caption": "a", "file_name": name}
        for k, name in enumerate(["5.jpg", "6.jpg", "5.jpg"])
    ]
    truth = open_ground_truth(write_json(tmp_path / "gt.json", entries, [])).read(["6", "5"])
    assert truth.caption_index.tolist() == [0, 0, 1]


def test_pycocotools_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    open_ground_truth(write_dogs(tmp_path / "gt.json", None)).read(["36979"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no COCO-style JSON"),
        ("{", "is no COCO-style JSON"),
        ("[]", "is no COCO-style JSON"),
        ("\x00\x01", "is no COCO-style JSON"),
        ('{"images": [], "annotations": [], "categories": []}', "has images without a caption"),
        ('{"info": {}}', "has images without a caption"),
        ('{"images": [{"id": 3, "file_name": "1.jpg"}]}', r"has images without a caption \(ids: 3\)"),
        ('{"images": [{"id": 3, "caption": 5}]}', r"has images without a caption \(ids: 3\)"),
        ('{"images": [{"caption": "no id"}]}', "is no COCO-style JSON"),
        ('{"annotations": [{"id": 1}], "images": [{"id": 3, "caption": "a"}]}', "is no COCO-style JSON"),
    ],
)
def test_json_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "gt.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GroundTruthError, match=rf"gt\.json {why}"):
        open_ground_truth(path)


@pytest.mark.parametrize(
    ("entry", "box", "why"),
    [
        ({"tokens_positive_eval": [[[0, 6]]]}, {}, r"span \[0, 6\) outside a caption of 5 characters"),
        ({"tokens_positive_eval": [[[3, 3]]]}, {}, r"span \[3, 3\) outside"),
        ({"tokens_positive_eval": [[[-1, 3]]]}, {}, r"span \[-1, 3\) outside"),
        ({"tokens_positive_eval": [[0, 3]]}, {}, "TypeError"),
        ({"tokens_positive_eval": [[["a", "b"]]]}, {}, "ValueError"),
        ({"tokens_positive_eval": None}, {}, "TypeError"),
        ({"width": None}, {}, "TypeError"),
        ({"height": "tall"}, {}, "ValueError"),
        ({"sentence_id": "first"}, {}, "ValueError"),
        ({}, {"tokens_positive": [[0, 50]]}, r"span \[0, 50\) outside"),
        ({}, {"tokens_positive": None}, "TypeError"),
        ({}, {"bbox": [1, 2, 3]}, "ValueError"),
        ({}, {"bbox": None}, "TypeError"),
        ({"width": 0}, {}, "width"),
        ({}, {"bbox": [5, 5, -3, 2]}, "bbox"),
    ],
)
def test_entries_refused(tmp_path: Path, entry: dict[str, object], box: dict[str, object], why: str) -> None:
    good = caption_entry(8, "fine", [[[0, 4]]], original_img_id=8)
    bad = caption_entry(9, "A dog", [[[0, 5]]]) | entry
    path = write_json(tmp_path / "gt.json", [good, bad], [box_entry(1, 9, [0, 0, 5, 5], [[0, 5]]) | box])
    source = open_ground_truth(path)
    assert len(source.read(["8"]).text) == 1
    with pytest.raises(GroundTruthError, match=rf"gt\.json: image entry 9 cannot be read .*{why}"):
        source.read(["36979"])


# ---------------------------------------------------------------- which format it is


def test_formats(tmp_path: Path) -> None:
    assert FORMATS == ("entities", "mdetr")
    entities = write_entities(tmp_path / "entities", TWO_IMAGES)
    archive = write_zip(tmp_path / "a.zip", entities)
    grounding = write_dogs(tmp_path / "gt.json", None)
    no_suffix = Path(shutil.copy(grounding, tmp_path / "grounding"))
    assert [open_ground_truth(path).format for path in (entities, archive, grounding, no_suffix)] == [
        "entities",
        "entities",
        "mdetr",
        "mdetr",
    ]
    assert open_ground_truth(str(grounding), "mdetr").format == "mdetr"
    with pytest.raises(GroundTruthError, match=r"gt\.json is no zip file"):
        open_ground_truth(grounding, "entities")
    with pytest.raises(GroundTruthError, match=r"a\.zip is no COCO-style JSON"):
        open_ground_truth(archive, "mdetr")


def test_a_directory_is_no_grounding_json(tmp_path: Path) -> None:
    with pytest.raises(GroundTruthError, match="entities"):
        open_ground_truth(write_entities(tmp_path / "entities", TWO_IMAGES), "mdetr")


# ---------------------------------------------------------------- the fixtures and the real sets


def test_fixtures_say_the_same_in_both_formats(fixtures: Path) -> None:
    entities, grounding = read(fixtures / "entities"), read(fixtures / "grounding.json")
    assert sorted(entities.image_id) == sorted(grounding.image_id)
    again = open_ground_truth(fixtures / "grounding.json").read(entities.image_id)
    assert again.image_size.tolist() == entities.image_size.tolist()
    assert list(again.text) == list(entities.text)
    assert again.caption_index.tolist() == entities.caption_index.tolist()
    for caption in range(len(entities.text)):
        with_box = [
            (texts, sorted(boxes_of(entities, entity))) for texts, entity in phrases(entities, caption) if entity >= 0
        ]
        assert with_box == [(texts, boxes_of(again, entity)) for texts, entity in phrases(again, caption)]


def counted(files: Callable[[str], str], image_ids: list[str]) -> Counter[str]:
    """Counts by looking for nothing but marks in the text of the files."""
    counts: Counter[str] = Counter(images=len(image_ids))
    for image_id in image_ids:
        with_box: set[str] = set()
        for thing_ in re.findall(r"<object>.*?</object>", files(f"Annotations/{image_id}.xml"), re.DOTALL):
            if "<bndbox>" in thing_:
                names = re.findall(r"<name>(\d+)</name>", thing_)
                with_box.update(names)
                counts["boxes"] += len(names)
        counts["entities"] += len(with_box)
        sentences = files(f"Sentences/{image_id}.txt")
        counts["captions"] += len(sentences.strip("\n").split("\n"))
        for chain, kinds in re.findall(r"\[/EN#(\d+)/(\S+)", sentences):
            counts["phrases"] += 1
            counts["phrases with a box"] += chain in with_box
            counts.update(f"type {kind}" for kind in kinds.split("/") if kind != "notvisual")
    return counts


def counts_of(truth: GroundTruth) -> Counter[str]:
    counts = Counter(
        {
            "images": len(truth.image_id),
            "boxes": len(truth.box),
            "entities": int(truth.entity_offset[-1]),
            "captions": len(truth.text),
            "phrases": len(truth.phrase_entity),
            "phrases with a box": int((truth.phrase_entity >= 0).sum()),
        }
    )
    counts.update(f"type {name}" for names in types_of(truth) for name in names)
    return counts


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "images"),
    [("flickr30k_entities", 1000), ("flickr30k_entities_val.zip", 1000), ("flickr8k_entities.zip", 8091)],
)
def test_counts_of_the_real_sets(shared: Path, name: str, images: int) -> None:
    root = shared / name
    truth = read(root)
    if root.is_dir():
        expected = counted(lambda file: (root / file).read_text(encoding="utf-8"), truth.image_id)
    else:
        with zipfile.ZipFile(root) as archive:
            expected = counted(lambda file: archive.read(file).decode("utf-8"), truth.image_id)
    assert counts_of(truth) == expected
    assert (expected["images"], expected["captions"]) == (images, 5 * images)
    assert not truth.warnings
    assert (truth.box >= 0).all()
    limit = np.repeat(truth.image_size, np.diff(truth.box_offset[truth.entity_offset]), axis=0)
    assert (truth.box[:, 2:] <= limit).all()


@pytest.mark.realdata
def test_french_captions(shared: Path, tmp_path: Path) -> None:
    ids = [name.removesuffix(".jpg") for name in (shared / "french/test_2016_flickr.txt").read_text("utf-8").split()]
    lines = (shared / "french/public_test.fr").read_text("utf-8").splitlines()
    lines = [line.split("** ", 1)[1] for line in lines]
    (tmp_path / "Sentences").mkdir()
    (tmp_path / "Annotations").symlink_to(shared / "flickr30k_entities/Annotations")
    for image_id, line in zip(ids, lines, strict=True):
        (tmp_path / f"Sentences/{image_id}.txt").write_text(line + "\n", encoding="utf-8")
    truth = read(tmp_path, *ids)
    # Every bracket closes the last one that is open; what is still open at the end was never closed.
    unclosed = {}
    for image_id, line in zip(ids, lines, strict=True):
        stack: list[int] = []
        for mark in re.finditer(r"\[|\]", line):
            if mark[0] == "[":
                stack.append(mark.start() + 1)
            else:
                stack.pop()
        for column in stack:
            unclosed[image_id, column] = line
    said = [re.search(r"Sentences/(\d+)\.txt line 1: .* column (\d+) is never closed", text) for text in truth.warnings]
    assert sorted((match[1], int(match[2])) for match in said if match) == sorted(unclosed)
    assert len(said) == len(unclosed) > 50
    for caption, line in enumerate(lines):
        assert truth.text[caption] == re.sub(r"\[/EN#\S+ |\]", "", line)
        assert [texts for texts, _ in phrases(truth, caption)] == [
            [text] for text in re.findall(r"\[/EN#\S+ ([^\[\]]*)\]", line)
        ]


@pytest.mark.realdata
def test_separate_and_merged_grounding_json(shared: Path) -> None:
    for name in ("flickr_separateGT_val.json", "flickr_mergedGT_val.json"):
        path = shared / "mdetr" / name
        truth = read(path)
        data = json.loads(path.read_text("utf-8"))
        assert len(truth.text) == len(data["images"]) == 5000
        assert len(truth.image_id) == len({entry["original_img_id"] for entry in data["images"]})
        assert len(truth.phrase_entity) == sum(len(entry["tokens_positive_eval"]) for entry in data["images"])
        assert len(truth.span) == sum(len(s) for entry in data["images"] for s in entry["tokens_positive_eval"])

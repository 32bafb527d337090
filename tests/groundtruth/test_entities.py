"""Reading annotations: the layouts they come in, their quirks, and what is refused."""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from annotations import (
    TWO_IMAGES,
    annotation,
    boxes_of,
    phrases,
    read,
    thing,
    types_of,
    write_dogs,
    write_entities,
    write_zip,
)

from attneval.config.breakdowns import TYPES
from attneval.errors import GroundTruthError
from attneval.groundtruth import FORMATS, GroundTruth, open_ground_truth

if TYPE_CHECKING:
    from collections.abc import Callable

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
        ("raw", [11, 21, 50, 60]),
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


def test_white_space_around_xml_text(tmp_path: Path) -> None:
    box = thing("1", (11, 21, 50, 60)).replace("<name>1<", "<name>\n 1\n<").replace(">11<", "> 11\n<")
    truth = read(write_entities(tmp_path, {"5": (annotation(box, width="\n 100 "), "[/EN#1/people A man]\n")}))
    assert truth.phrase_entity.tolist() == [0]
    assert truth.box.tolist() == [[10, 20, 50, 60]]
    assert truth.image_size.tolist() == [[100, 80]]


def test_boxes_are_clipped_to_their_image(tmp_path: Path) -> None:
    truth = one_image(tmp_path, "[/EN#1/people A man]\n", thing("1", (0, -3, 120, 81)))
    assert truth.box.tolist() == [[0, 0, 100, 80]]


def test_too_many_types_are_refused(tmp_path: Path) -> None:
    sentences = " ".join(f"[/EN#1/kind{k} a]" for k in range(60)) + "\n"
    with pytest.raises(GroundTruthError, match="68 phrase types"):
        one_image(tmp_path, sentences, thing("1", (1, 1, 9, 9)))


def test_japanese_captions(tmp_path: Path) -> None:
    # The number before a mark is the English phrase's, and no text; words have no spaces between them.
    truth = one_image(
        tmp_path,
        "2:[/EN#19/clothing 赤い服]を着た1:[/EN#18/people 子供]が、3:4番。\n",
        thing("18", (1, 1, 9, 9)),
        thing("19", (2, 2, 5, 5)),
    )
    assert truth.text[0] == "赤い服を着た子供が、3:4番。"
    assert phrases(truth) == [(["赤い服"], 1), (["子供"], 0)]


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
        (annotation(width="wide"), "is no whole number"),
        (annotation(width=""), "is no whole number"),
        (annotation(NO_EDGE), "is no whole number"),
        (annotation(thing("1", (1, 1, 9, 9)).replace(">9<", ">9.5<")), "is no whole number"),
        ("<?xml version='1.0' encoding='klingon'?><annotation/>", "klingon"),
        (annotation(width="1" + "0" * 30), "is out of range"),
        (annotation(width="9" * 5000), "is out of range"),
        (annotation(width="1_0"), "is no whole number"),
        (annotation(thing("1", (1, 1, 9, 9)).replace(">9<", ">" + "9" * 31 + "<")), "is out of range"),
        (annotation(thing("1", (101, 1, 120, 9))), "box [101, 1, 120, 9] lies outside its image of 100 x 80"),
        (annotation(thing("1", (-7, 1, 0, 9))), "box [-7, 1, 0, 9] lies outside its image of 100 x 80"),
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
    assert caught.value.message.startswith(f"{root} has no readable {name}")
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


# ---------------------------------------------------------------- which format it is


def test_formats(tmp_path: Path) -> None:
    assert FORMATS[:2] == ("entities", "mdetr")
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
    with pytest.raises(GroundTruthError, match=r"a\.zip is no"):
        open_ground_truth(archive, "mdetr")


def test_a_directory_is_no_grounding_json(tmp_path: Path) -> None:
    with pytest.raises(GroundTruthError, match="entities is a directory"):
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


def test_a_member_that_was_made_to_fill_memory_is_not_inflated(tmp_path: Path) -> None:
    plain = write_entities(tmp_path / "plain", TWO_IMAGES)
    path = write_zip(tmp_path / "release.zip", plain)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Annotations/5.xml", TWO_IMAGES["3"][0])
        archive.writestr("Sentences/5.txt", b" " * 2**25)
    with pytest.raises(
        GroundTruthError, match=r"no readable Sentences/5\.txt \(.* inflates from \d+ to 33554432 bytes"
    ):
        read(path, "5")
    assert len(read(path, "3").text) == 2

from __future__ import annotations

import pytest

from attneval.training.data.tokens import word_tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A man rides a horse .", "A man rides a horse ."),
        ("A man rides a horse.", "A man rides a horse ."),
        ('A sign says "stop".', "A sign says `` stop '' ."),
        ('"Go," he said', "`` Go , '' he said"),
        ('( "quoted" )', "( `` quoted '' )"),
        ("The dog's toys aren't the boys' toys", "The dog 's toys are n't the boys ' toys"),
        (
            "He'll say I'm here, they've gone, we're late",
            "He 'll say I 'm here , they 've gone , we 're late",
        ),
        ("'hello' there", "' hello ' there"),
        ("rock 'n' roll at five o'clock", "rock 'n ' roll at five o'clock"),
        ("I cannot go, gonna stay, gimme this, wanna run", "I can not go , gon na stay , gim me this , wan na run"),
        ("'tis cold and 'twas warm", "' tis cold and ' twas warm"),
        ("at 10:30 for 1,000 dollars", "at 10:30 for 1,000 dollars"),
        ("yes: no, maybe; $5 #1 50% a&b x@y", "yes : no , maybe ; $ 5 # 1 50 % a & b x @ y"),
        ("wait... what?! -- well", "wait ... what ? ! -- well"),
        ("(a) [b] {c} <d>", "( a ) [ b ] { c } < d >"),
        ("a well-known t-shirt and/or *star*", "a well-known t-shirt and/or * star *"),
        ("in the u.s. at 5 p.m. today", "in the u.s. at 5 p.m. today"),
        ("mr. smith met dr. no.", "mr. smith met dr. no ."),
        ("A dog runs. A cat sits.", "A dog runs . A cat sits ."),
        ('He said "no." Then left.', "He said `` no . '' Then left ."),
        ("the man (right). the dog", "the man ( right ) . the dog"),
        ("\u201ccurly\u201d it\u2019s", "\u201c curly \u201d it \u2019 s"),
        ("``old'' quotes", "`` old '' quotes"),
        ("le garçon à l'école", "le garçon à l'école"),
        ("", ""),
        ("  \t ", ""),
    ],
)
def test_by_hand(text: str, tokens: str) -> None:
    assert word_tokenize(text) == tokens.split()


@pytest.mark.parametrize("word", ["mr", "st", "j", "7", "u.s", "e.g"])
def test_no_sentence_ends_after(word: str) -> None:
    assert word_tokenize(f"by {word}. and on") == ["by", f"{word}.", "and", "on"]

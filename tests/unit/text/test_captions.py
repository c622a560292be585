"""Frozen output of the Stanford PTBTokenizer 3.4.1 as pycocoevalcap runs it; the parity tests run it live."""

import time

import pytest

from regard.text import caption_tokens

FROZEN = [
    (
        "Two men -- one in a T-shirt -- aren't playing the kids' game.",
        "two men one in a t-shirt are n't playing the kids game",
    ),
    (
        "It's a dog's life; they're here, he'll say, I'd've gone.",
        "it 's a dog 's life they 're here he 'll say i 'd 've gone",
    ),
    ("She cannot go and he's gonna wanna leave", "she can not go and he 's gon na wan na leave"),
    ("A man (wearing [a] {red} hat) runs", "a man -lrb- wearing -lsb- a -rsb- -lcb- red -rcb- hat -rrb- runs"),
    ("A sign reads \"STOP!\" and ``go'' and 'wait'", "a sign reads stop and go and wait"),
    ("Wow!!! Really?! Yes... no.... maybe", "wow !!! really ?! yes no maybe"),
    (
        "1,000 people at 10:30 p.m. in the U.S. on 12/25/10 for $5.50 or 50%",
        "1,000 people at 10:30 p.m. in the u.s. on 12/25/10 for $ 5.50 or 50 %",
    ),
    (
        "Mr. Smith, St. Louis Ave. and Dr. Who, No. 5 vs. no. Nobody",
        "mr. smith st. louis ave. and dr. who no. 5 vs. no nobody",
    ),
    (
        "AT&T and Q&A and rock 'n' roll at 5 o'clock, ma'am, y'all",
        "at&t and q&a and rock 'n' roll at 5 o'clock ma'am y' all",
    ),
    ("the '70s and 1990's, #1 fan @home #fun", "the '70s and 1990 's # 1 fan @home #fun"),
    (
        "a well-known 8-year-old and/or ice-cream- man w/o a-b -dog",
        "a well-known 8-year-old and/or ice-cream man w/o a-b dog",
    ),
    ("“Curly quotes” aren’t ‘gone’ – dash — long… café naïve", "curly quotes are n't gone dash long café naïve"),
    ("www.example.com and me@example.org or example.com", "www.example.com and me@example.org or example.com"),
    ("a+b = c_d * e ~ f ^ g | h \\ i", "a + b = c_d * e ~ f ^ g | h \\ i"),
    ("&quot;Tom &amp; Jerry&quot;", "tom & jerry"),
    ("  tabs\tand \n newlines  ", "tabs and newlines"),
    ("'tis the season, 'twas fun, more'n enough", "'t is the season 't was fun more 'n enough"),
    ("John A. Stone is ill. The mass is in the wash.", "john a. stone is ill the mass is in the wash"),
    ("£5 €6 5¢ ½ cup", "# 5 $ 6 5 cents 1/2 cup"),
    ("smile :) wink ;) sad :-( love", "smile :-rrb- wink ;-rrb- sad :--lrb- love"),
    ("", ""),
    ("!", ""),
    ("a b c d.", "a b c d."),
]


@pytest.mark.parametrize(("text", "expected"), FROZEN)
def test_equals_the_java_tokens(text: str, expected: str) -> None:
    assert " ".join(caption_tokens(text)) == expected


def test_tokens_of_tokens_are_the_same_for_plain_captions() -> None:
    once = caption_tokens("A black dog , two men and a girl 's bike .")
    assert once == ["a", "black", "dog", "two", "men", "and", "a", "girl", "'s", "bike"]
    assert caption_tokens(" ".join(once)) == once


@pytest.mark.parametrize(
    "text", ["a" * 50_000, "-." * 10_000, "'" * 50_000, "a.b" * 10_000, "@" * 50_000, "1," * 20_000]
)
def test_hostile_text_takes_no_hostile_time(text: str) -> None:
    start = time.process_time()
    caption_tokens(text)
    assert time.process_time() - start < 2.0


def test_emoji_and_controls_leave_nothing_behind() -> None:
    assert caption_tokens("a dog 😀 runs \N{ZERO WIDTH JOINER} fast") == ["a", "dog", "runs", "fast"]

"""What people type: each change does what its name says, and leaves the rest of the text alone."""

import pytest

from regard.text.noise import NOISE, NoiseSettings


@pytest.mark.parametrize(
    ("name", "text", "changed"),
    [
        ("capitals", "Ein Hund läuft.", "EIN HUND LÄUFT."),
        ("title", "A man's dog runs.", "A Man's Dog Runs."),
        ("lower", "Ein Hund läuft.", "ein hund läuft."),
        ("typographic", 'A man\'s "dog" - it runs...', "A man’s “dog” – it runs…"),
        ("typographic", "A T-shirt", "A T-shirt"),
        ("digits", "Two men and three dogs.", "2 men and 3 dogs."),
        ("digits", "Zwei Männer und elf Hunde.", "2 Männer und 11 Hunde."),
        ("digits", "남자 두 명이 개 세 마리와 있다.", "남자 2명이 개 3마리와 있다."),
        ("digits", "A twofold tent", "A twofold tent"),
        ("no_stop", "A dog runs.", "A dog runs"),
        ("no_stop", "A dog runs !", "A dog runs"),
        ("no_stop", ".", "."),
        ("ascii", "Zwei Mädchen auf der Straße.", "Zwei Maedchen auf der Strasse."),
        ("ascii", "Le garçon œuvre.", "Le garcon oeuvre."),
        ("ascii", "개가 있다.", "개가 있다."),
    ],
)
def test_a_text_is_changed_as_people_type(name: str, text: str, changed: str) -> None:
    assert NOISE[name](text) == changed


def test_every_change_has_a_share() -> None:
    shares = NoiseSettings(capitals=0.25).shares
    assert list(shares) == list(NOISE)
    assert shares["capitals"] == 0.25

from __future__ import annotations

import pytest

from authd.broker.postgres import messages
from authd.broker.postgres.refusals import CODES, Refusal, response
from authd.locale import text


def fields(raw: bytes) -> dict[bytes, bytes]:
    (message,), rest = messages.split(raw)
    assert (message.letter, rest) == (b"E", b"")
    return {field[:1]: field[1:] for field in message.body.split(b"\0") if field}


@pytest.mark.parametrize("why", Refusal)
def test_every_refusal_has_a_sentence_in_both_languages_and_a_code(why: Refusal) -> None:
    ja, en = fields(response(why, "ja")), fields(response(why, "en"))
    assert ja[b"C"] == CODES[why].encode()
    assert ja[b"M"].decode() == text(f"postgres.{why.value}", "ja") == en[b"D"].decode()
    assert en[b"M"].decode() == text(f"postgres.{why.value}", "en") == ja[b"D"].decode()


@pytest.mark.parametrize(("name", "codec"), [("SJIS", "cp932"), ("euc-jp", "euc_jp"), ("win932", "cp932")])
def test_an_old_application_can_read_it(name: str, codec: str) -> None:
    said = fields(response(Refusal.NOBODY, "ja", name))[b"M"]
    assert said.decode(codec) == text("postgres.nobody", "ja")


def test_where_japanese_cannot_be_written_it_is_english() -> None:
    assert fields(response(Refusal.NOBODY, "ja", "LATIN1"))[b"M"] == text("postgres.nobody", "en").encode()
    assert b"D" not in fields(response(Refusal.NOBODY, "ja", "../../etc"))

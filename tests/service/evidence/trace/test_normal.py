from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.service.evidence.trace.normal import LONGEST, normal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("山田 花子", "山田　花子"),
        ("ﾔﾏﾀﾞ ﾊﾅｺ", "やまだ はなこ"),
        ("髙﨑 邊", "高崎辺"),
        ("1980-03-02", "昭和55年3月2日"),
        ("1980-03-02", "S55.3.2"),
        ("1980/3/2", "１９８０年３月２日"),
        ("1980-03-02", "1980-03-02 00:00:00"),
        ("1980-03-02", "19800302"),
        ("令和元年5月1日", "2019/05/01"),
        ("0722223333", "072-222-3333"),
        ("(072) 222-3333", "722223333"),
        ("０００１２３４５６７", "1234567"),
        ("1234567.0", "1234567"),
        ("590-0078", "〒5900078".removeprefix("〒")),
        ("堺市堺区南瓦町3-1", "堺市堺区南瓦町３丁目１番"),
        ("堺市堺区南瓦町3-1-5", "堺市 堺区 南瓦町3丁目1番5号"),
        ("堺市堺区南瓦町3番地の1", "堺市堺区南瓦町３－１"),
        ("Sato", "ＳＡＴＯ"),
    ],
)
def test_a_retyped_cell_says_the_same(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1980-03-02", "1980-02-03"), ("山田花子", "山田花男"), ("3-1-5", "3-15"), ("南瓦町3-1", "南瓦町31"), ("0", "")],
)
def test_what_is_another_stays_another(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@given(st.text(max_size=2 * LONGEST))
def test_any_text_has_a_bounded_saying(text: str) -> None:
    assert len(normal(text)) <= 2 * LONGEST


@given(st.text(max_size=40))
def test_spaces_never_matter(text: str) -> None:
    assert normal(f" {text}　") == normal(text)

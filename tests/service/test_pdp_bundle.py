"""`pdp.bundle` and `pdp.cedar`: a bundle is taken whole, or refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.service.pdp import BundleError, Source, bundle, cedar, installed, read
from tests.service.pdp_help import shipped, site


def error(folder: Path, rules: str) -> str:
    with pytest.raises(BundleError) as caught:
        read(site(folder, rules))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_shipped_base_rules_speak_both_languages() -> None:
    for rule in shipped().rules:
        assert rule.words["ja"]
        assert rule.words["en"]


def test_every_rule_knows_its_place() -> None:
    rule = shipped().rule("base.hours.duty")
    assert rule is not None
    text = (installed() / rule.statement.file).read_text(encoding="utf-8")
    assert text.splitlines()[rule.statement.line - 1] == '@id("base.hours.duty")'
    assert shipped().rule("nowhere") is None


def test_positional_ids_are_those_of_the_rules() -> None:
    found = shipped().policies.to_pst().static_policies
    assert {name: policy.annotations["id"] for name, policy in found.items()} == {
        f"policy{place}": rule.id for place, rule in enumerate(shipped().rules)
    }


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("permit (principal, action, resource);", 'site/own.cedar:1: expected @id("site.name")'),
        ('\n@id("base.x")\npermit (principal, action, resource);', 'site/own.cedar:2: expected @id("site.name")'),
        (
            '@id("site.a") permit (principal, action, resource);\n@id("site.a") forbid (principal, action, resource);',
            "site/own.cedar:2: @id site.a must be unique, see site/own.cedar:1",
        ),
        (
            '// one\n\n@id("site.a")\npermit (principal,\n  action resource);',
            "site/own.cedar:5: expected a Cedar policy",
        ),
        ('@id("site.a")\npermit (principal, action, resource', "site/own.cedar:1: expected a Cedar policy"),
        ('@id("site.a")\npermit (principal, action, resource)\nwhen { "a };', "site/own.cedar:1: expected a Cedar"),
        (
            '\n@id("site.a")\npermit (principal, action, resource) when { principal.name == "x" };',
            "site/own.cedar:2: site.a: attribute `name` on entity type `Subject` not found",
        ),
        ('@id("site.a") permit (principal, action == Action::"fly", resource);', "site/own.cedar:1: site.a: "),
        ('@id("site.a") permit (principal == ?principal, action, resource);', "site/own.cedar:1: expected a Cedar"),
        ('@id("site.a") @mesage("refused") permit (principal, action, resource);', "site/own.cedar:1: unknown annot"),
        ('@id("site.a") @message("waiting") forbid (principal, action, resource);', "site/own.cedar:1: @message must"),
        (";", "site/own.cedar:1: expected a Cedar policy"),
    ],
)
def test_a_bad_rule_is_named_with_file_and_line(tmp_path: Path, rules: str, expected: str) -> None:
    assert error(tmp_path, rules).startswith(expected)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected a folder"):
        read(Source(tmp_path / "nowhere"))
    with pytest.raises(BundleError, match=r"none\.toml:1: expected a readable file"):
        read(Source(tmp_path, settings=tmp_path / "none.toml"))
    source = site(tmp_path)
    (tmp_path / "site" / "own.cedar").write_bytes(b"//\n\xff")
    with pytest.raises(BundleError, match=r"site/own\.cedar:2: expected UTF-8"):
        read(source)
    (tmp_path / "site" / "own.cedar").write_bytes(b"/" * (bundle.MAX_FILE + 1))
    with pytest.raises(BundleError, match="at most"):
        read(source)


def test_too_many_files(tmp_path: Path) -> None:
    for number in range(bundle.MAX_FILES):
        (tmp_path / "site").mkdir(exist_ok=True)
        (tmp_path / "site" / f"{number}.cedar").touch()
    with pytest.raises(BundleError, match="at most 200 files, got 201"):
        read(site(tmp_path))


def test_a_copy_of_the_base_is_good_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    shutil.copytree(installed(), tmp_path / "city")
    assert read(Source(tmp_path / "city")).hash == shipped().hash
    path = tmp_path / "city" / "base" / "forbid.cedar"
    path.write_text(path.read_text(encoding="utf-8").replace("principal.disabled", "false"), encoding="utf-8")
    with pytest.raises(BundleError, match=r"base/forbid\.cedar:1: expected the installed text"):
        read(Source(tmp_path / "city"))


def test_a_base_rule_cannot_be_left_out_or_added(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    found = read(site(tmp_path))
    assert [rule.id for rule in found.rules] == [rule.id for rule in shipped().rules if rule.id.startswith("base.")]
    (tmp_path / "base" / "more.cedar").write_text('@id("base.more") permit (principal, action, resource);')
    with pytest.raises(BundleError, match=r"base/more\.cedar:1: expected the installed text"):
        read(Source(tmp_path))


def test_the_hash_changes_with_whatever_can_change_a_decision(tmp_path: Path) -> None:
    rule = '@id("site.a") permit (principal, action, resource);'
    plain = read(site(tmp_path / "a")).hash
    assert read(site(tmp_path / "b")).hash == plain
    assert read(site(tmp_path / "c", rule)).hash != plain
    assert read(site(tmp_path / "d", settings="[seat.counter]\nidle_s = 61\n")).hash != plain


_RULES = (
    '@id("site.a") permit (principal, action, resource);',
    '@id("site.b") forbid (principal, action, resource)\nwhen { "a;//\\"" like "*;" };',
)
_PIECES = (*_RULES, "// note; with a semicolon\n", "\n\n", "  ", ";", '"', "//", "/", "\\", "permit (principal", "é")


@given(st.lists(st.sampled_from((*_RULES, *_PIECES[2:5]))))
def test_statements_are_cut_where_cedar_cuts_them(texts: list[str]) -> None:
    text = "".join(texts)
    found = list(cedar.statements(text, "f"))
    assert len(found) == len(cedar.PolicySet.from_str(text))
    for statement in found:
        first = statement.text.partition("\n")[0]
        assert first in text.split("\n")[statement.line - 1]


def _good(text: str) -> bool:
    try:
        cedar.PolicySet.from_str(text)
    except ValueError:
        return False
    return True


@given(st.lists(st.sampled_from(_PIECES)))
def test_no_bad_text_becomes_good_by_being_cut(texts: list[str]) -> None:
    """What is checked statement by statement is what stands in the file: nothing is lost in between."""
    text = "".join(texts)
    assert _good("\n".join(statement.text for statement in cedar.statements(text, "f"))) == _good(text)

"""Every page and every URL: what an address may ask for, and what it may not."""

import pytest
import streamlit
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from pages.common import links


class QueryParams(dict):
    """`st.query_params` without a session; a list stands for a repeated parameter."""

    def __getitem__(self, name):
        value = super().__getitem__(name)
        return value[-1] if isinstance(value, list) else value

    def get(self, name, default=None):
        return self[name] if self.get_all(name) else default

    def get_all(self, name):
        value = dict.get(self, name, [])
        return value if isinstance(value, list) else [value]


@pytest.fixture
def address(monkeypatch):
    """Sets the query parameters."""

    def address(**query):
        params = QueryParams(query)
        monkeypatch.setattr(streamlit, "query_params", params)
        return params

    return address


HOSTILE = [
    "",
    " ",
    "-1",
    "+1",
    "1.0",
    "1e3",
    "٣",
    "²",
    "0x1",
    "1_0",
    "9" * 10,
    "9" * 5000,
    "<b>",
    "'",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_image_that_is_no_small_number_is_none(address, value):
    address(image=value)
    assert links.asked_image() is None


@pytest.mark.parametrize(
    "value, position", [("0", 0), ("7", 7), ("007", 7), ("999999999", 999999999)]
)
def test_image_is_a_position(address, value, position):
    address(image=value)
    assert links.asked_image() == position


def test_address_without_an_image_asks_for_none(address):
    address()
    assert links.asked_image() is None


def test_last_of_several_images_counts(address):
    address(image=["1", "2"])
    assert links.asked_image() == 2


@given(st.text())
def test_choice_is_one_of_the_options_whatever_the_address_says(value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamlit, "query_params", QueryParams(view=value, runs=[value, "b", value]))
        assert links.asked_choice("view", ("a", "b"), "a") in ("a", "b")
        assert set(links.asked_choices("runs", ("a", "b"))) <= {"a", "b"}
        assert links.asked_image() is None


def test_choice_that_is_an_option_is_taken(address):
    address(view="b")
    assert links.asked_choice("view", {"a": 1, "b": 2}, "a") == "b"
    assert links.asked_choice("other", {"a": 1, "b": 2}, "a") == "a"


def test_choices_are_those_among_the_options_each_once_in_their_order(address):
    address(runs=["c", "x", "a", "c", ""])
    assert links.asked_choices("runs", ["a", "b", "c"]) == ["c", "a"]
    assert links.asked_choices("other", ["a"]) == []


def test_image_is_remembered_once(address):
    params = address(image="3")
    links.remember_image(3)
    assert params == {"image": "3"}
    links.remember_image(4)
    assert params == {"image": "4"}


@pytest.mark.parametrize(
    "value, default, expected",
    [
        ("log", "images", {"view": "log"}),
        (7, None, {"view": "7"}),
        (["b", "a"], ["a", "b"], {"view": ["b", "a"]}),
        ("images", "images", {}),
        (["a", "b"], ["a", "b"], {}),
        (None, "images", {}),
        ([], ["a"], {}),
    ],
)
def test_address_remembers_only_what_differs_from_the_default(
    address, monkeypatch, value, default, expected
):
    params = address(view="old")
    monkeypatch.setattr(streamlit, "session_state", {"key": value})
    links.remember("view", "key", default)
    assert params == expected


def test_values_of_a_real_address_are_read_and_written():
    def script():
        import streamlit as st

        from pages.common import links

        st.session_state["image"] = 4
        st.session_state["runs"] = ["b", "a"]
        st.text(f"{links.asked_image()} {links.asked_choices('runs', 'ab')}")
        links.remember("image", "image")
        links.remember("runs", "runs")
        st.text(f"{links.asked_image()} {links.asked_choices('runs', 'ab')}")

    page = AppTest.from_function(script, default_timeout=30)
    page.query_params = {"image": ["1", "-"], "runs": ["a", "c", "b"]}
    page.run()
    assert not page.exception
    assert [text.value for text in page.text] == ["None ['a', 'b']", "4 ['b', 'a']"]
    assert page.query_params == {"image": "4", "runs": ["b", "a"]}


@pytest.mark.parametrize("base, prefix", [("", ""), ("lab", "/lab"), ("/lab/seg/", "/lab/seg")])
def test_files_are_found_below_the_server_s_own_path(monkeypatch, base, prefix):
    monkeypatch.setattr(streamlit, "get_option", {"server.baseUrlPath": base}.__getitem__)
    assert links.dataset_file("d1", "thumbs", "000001.webp") == (
        f"{prefix}/api/media/datasets/d1/thumbs/000001.webp"
    )
    assert links.run_file("r1", "errors", "000001.png", None) == (
        f"{prefix}/api/media/runs/r1/errors/000001.png"
    )
    assert not links.base_path().endswith("/")


def test_pictures_of_a_run_that_was_scored_anew_have_another_address():
    first, again = (links.run_file("r1", "errors", "000001.png", at) for at in (10.25, 99.5))
    assert first.partition("?")[0] == again.partition("?")[0]
    assert first != again


def test_pictures_of_a_trial_have_an_address_below_the_server_s(monkeypatch):
    monkeypatch.setattr(links, "base_path", lambda: "/lab")
    url = links.preflight_file("1234abcd", "000000.a.webp")
    assert url == "/lab/api/media/preflights/1234abcd/pictures/000000.a.webp"

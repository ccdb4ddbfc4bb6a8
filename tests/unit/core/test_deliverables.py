"""What a scene delivers: the names of the option, and what may not say where on the Earth it is."""

from __future__ import annotations

import pytest

from scripts.lib.core import deliverables
from scripts.lib.core.console import UserError
from scripts.lib.core.deliverables import DELIVERABLES, Deliverable, choose

EVERYWHERE = frozenset(DELIVERABLES)


@pytest.fixture
def globe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table with one file that is of no use without its place, between two others."""
    table = {
        "glb": Deliverable("export_glb", "scene.glb", "a"),
        "globe": Deliverable("export_globe", "geo/globe.zip", "b", placed=True),
        "ply": Deliverable("export_ply", "scene.ply", "c"),
    }
    monkeypatch.setattr(deliverables, "DELIVERABLES", table)


def test_nothing_is_delivered_unless_asked_for() -> None:
    assert choose("", EVERYWHERE).names == ()
    assert choose(" , ", EVERYWHERE).names == ()


def test_names_come_in_the_order_of_the_table_and_once() -> None:
    found = choose("ply,glb ply", EVERYWHERE)
    assert found.names == ("glb", "ply")
    assert found.files == ("scene.glb", "scene.ply")
    assert found.told == ("deliver/glb.json", "deliver/ply.json")
    assert found.rules == ("export_glb", "export_ply")


def test_all_is_everything() -> None:
    found = choose("all", EVERYWHERE)
    assert {*found.names, *found.left_out} == set(DELIVERABLES)
    assert list(found.left_out) == ["usd"] and "usd-core" in found.left_out["usd"]
    assert choose("all, usd", EVERYWHERE).names == tuple(DELIVERABLES)


def test_an_unknown_name_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"deliver names 'gbl'; did you mean 'glb'\?"):
        choose("gbl", EVERYWHERE)
    with pytest.raises(UserError, match="known: .*, all"):
        choose("xxxxxx", EVERYWHERE)


def test_only_what_can_be_moved_is_offered_another_place() -> None:
    with pytest.raises(UserError) as error:
        choose("ortho", frozenset())
    assert "coordinates to true, or leave 'ortho' out" in str(error.value)


@pytest.mark.usefixtures("globe")
def test_what_needs_a_place_is_refused_by_name_and_left_out_of_all() -> None:
    with pytest.raises(
        UserError, match="set bundle_web.coordinates to true, or export_globe.place"
    ):
        choose("globe", frozenset())
    found = choose("all", frozenset())
    assert found.names == ("glb", "ply")
    assert list(found.left_out) == ["globe"] and "coordinates" in found.left_out["globe"]
    assert choose("all", frozenset({"globe"})).names == ("glb", "globe", "ply")

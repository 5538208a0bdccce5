"""What places are called, and which are in which; no store is asked anything."""

from pathlib import Path

import pytest

from srgan.bulk.places import open_place
from srgan.errors import BulkError

KEYS = "s3://KEY:SECRET@bucket"
AT = "region=us-east-1&endpoint_override=127.0.0.1"


def test_what_a_store_is_called_has_no_secrets() -> None:
    place = open_place(f"{KEYS}/p?region=us-east-1")
    assert place.url == "s3://bucket/p"
    assert place.url_of("deep/a.png") == "s3://bucket/p/deep/a.png"
    assert place.path_of("deep/a.png") == "bucket/p/deep/a.png"
    assert open_place(f"{KEYS}?region=us-east-1").url == "s3://bucket"
    assert "SECRET" not in f"{place.url}{place.base}"


def test_a_place_is_another_one_where_another_store_has_it() -> None:
    one, same, other = (open_place(f"{KEYS}/p?{AT}:{port}") for port in (9001, 9001, 9002))
    assert one.holds(same)
    assert one.holds(open_place(f"{KEYS}/p/large?{AT}:9001"))
    assert not one.holds(other)
    assert not other.holds(open_place(f"{KEYS}/p/large?{AT}:9001"))


def test_what_only_begins_alike_is_not_in_a_place(tmp_path: Path) -> None:
    for root in (str(tmp_path), f"{KEYS}/x", "memory://x"):
        query = f"?{AT}:9001" if root.startswith("s3") else ""
        photos = open_place(f"{root}/photos{query}")
        assert photos.holds(open_place(f"{root}/photos{query}"))
        assert photos.holds(open_place(f"{root}/photos/large{query}"))
        assert not photos.holds(open_place(f"{root}/photos_large{query}"))
        assert not photos.holds(open_place(f"{root}{query}"))


def test_a_link_to_a_place_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "photos/large").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "photos/large")
    assert open_place(str(tmp_path / "photos")).holds(open_place(str(tmp_path / "link")))
    assert open_place(str(tmp_path / "photos")).holds(open_place(str(tmp_path / "link/deep")))
    assert not open_place(str(tmp_path / "link")).holds(open_place(str(tmp_path / "photos")))


def test_a_place_has_a_name() -> None:
    with pytest.raises(BulkError, match=r"^an empty name, where that of a place is needed$"):
        open_place("")


def test_a_name_may_have_a_hash_in_it(tmp_path: Path) -> None:
    assert open_place(f"file://{tmp_path}/set#1").base == f"{tmp_path}/set#1"
    place = open_place("s3://bucket/a#1/b#2?region=us-east-1")
    assert (place.url, place.base) == ("s3://bucket/a#1/b#2", "bucket/a#1/b#2")
    assert open_place("memory://a/b#1").base == "/a/b#1"

"""The key and the permits on disk."""

import os
import time

import pytest

from experiment.permit import Permit
from tests.warehouse.conftest import settings
from warehouse.keyring import load_key
from warehouse.permits import PermitFolder


def permit(*open_arms):
    return Permit(epoch=1, arms=settings()["stage2"].proposed("stage2"), open_arms=frozenset(open_arms))


def test_the_key_is_made_once_and_is_private(tmp_path):
    first = load_key(tmp_path)
    assert load_key(tmp_path) == first
    assert len(first) == 32
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("content", "words"), [("no hex", "not a hexadecimal key"), ("ab" * 8, "8 bytes")])
def test_a_damaged_key_is_an_error_not_a_new_key(tmp_path, content, words):
    (tmp_path / "key").write_text(content)
    with pytest.raises(ValueError, match=words):
        load_key(tmp_path)


def test_a_permit_is_read_back_as_written(tmp_path):
    folder = PermitFolder(tmp_path)
    folder.write(permit("lora"))
    assert folder.read("stage2") == permit("lora")


def test_closing_arms_keeps_the_rest_and_needs_no_database(tmp_path):
    folder = PermitFolder(tmp_path)
    folder.write(permit("lora", "other"))
    folder.close_arms("stage2", frozenset({"lora"}))
    assert folder.read("stage2").open_arms == {"other"}
    folder.close_arms("stage2")
    assert folder.read("stage2").open_arms == frozenset()


def test_closing_a_damaged_permit_removes_it(tmp_path):
    folder = PermitFolder(tmp_path)
    folder.path("stage2").write_text("{")
    folder.close_arms("stage2")
    assert not folder.path("stage2").exists()


def test_a_full_disk_removes_the_old_wider_permit(tmp_path, monkeypatch):
    folder = PermitFolder(tmp_path)
    folder.write(permit("lora"))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    folder.close_arms("stage2")
    assert not folder.path("stage2").exists()
    with pytest.raises(OSError, match="No space"):
        folder.write(permit("lora"))


def test_the_heartbeat_renews_the_time_and_never_makes_a_file(tmp_path):
    folder = PermitFolder(tmp_path)
    assert folder.heartbeat("stage2") is False
    assert folder.age_s("stage2", time.time()) is None
    folder.write(permit())
    os.utime(folder.path("stage2"), (1, 1))
    assert folder.heartbeat("stage2") is True
    assert abs(folder.age_s("stage2", time.time())) < 5

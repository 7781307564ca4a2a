"""Two that write the same folder at once."""

from __future__ import annotations

import os
import threading

import pytest

from mlir_datagen.dataset.staging import Staging


def second_while(first, meanwhile):
    """Enter a staging folder that `first` has, do something with that when the second waits, and publish a file."""
    waits, entered, outcome = threading.Event(), threading.Event(), []

    def enter():
        with Staging(first.final, waits.set) as second:
            outcome.append(sorted(path.name for path in second.path.iterdir()))
            entered.set()
            (second.path / "of_the_second").touch()
            if not second.final.exists():
                second.publish()

    thread = threading.Thread(target=enter)
    with first:
        (first.path / "of_the_first").touch()
        thread.start()
        assert waits.wait(60)
        assert not entered.is_set()
        meanwhile(first)
    thread.join(60)
    assert not thread.is_alive()
    return outcome


@pytest.mark.parametrize("is_published", [False, True])
def test_who_waits_gets_a_folder_of_his_own(is_published, tmp_path):
    """The lock that he waited for is that of a folder which was published, or removed."""
    final = tmp_path / "outputs" / "dataset"
    outcome = second_while(Staging(final), lambda first: first.publish() if is_published else None)
    assert outcome == [[]]
    assert os.listdir(final) == ["of_the_first" if is_published else "of_the_second"]
    assert os.listdir(final.parent) == ["dataset"]

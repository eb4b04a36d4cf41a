import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("cards", "place", "expected"),
    [("0,1,2,3", 2, "2"), ("4,5", 3, "5"), ("GPU-ab,GPU-cd", 1, "GPU-cd"), ("3", 1, "3"), ("", 1, ""), (None, 1, None)],
)
def test_each_process_on_a_node_is_shown_a_card_of_its_own(cards, place, expected):
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    if cards is not None:
        environment["CUDA_VISIBLE_DEVICES"] = cards
    code = (
        "import os, sys; from mechscreen.emulators.quiet import use_card; use_card(int(sys.argv[1]));"
        "print(repr(os.environ.get('CUDA_VISIBLE_DEVICES')))"
    )
    command = [sys.executable, "-c", code, str(place)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.strip() == repr(expected)


def test_cards_stay_as_they_are_once_networks_are_imported(monkeypatch):
    from mechscreen.emulators import networks
    from mechscreen.emulators.quiet import use_card

    assert networks.keras
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    use_card(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"

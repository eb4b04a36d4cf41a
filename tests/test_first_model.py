"""A newcomer's way from a model's file to hits: every command of docs/tutorials/first-model.md, in an empty folder."""

import re

import pytest

from campaigns import ROOT, run_commands

PAGE = (ROOT / "docs/tutorials/first-model.md").read_text()
COMMANDS = [line.strip() for line in re.findall(r"^ {4}(\S.*)$", PAGE, re.M)]
BLOCKS = dict(enumerate(re.findall(r"^```\w*\n(.*?)^```$", PAGE, re.M | re.S)))
SMALLER = {"count: 3000": "count: 400", "shard_size: 500": "shard_size: 200", "epochs: 100": "epochs: 10",
           "width: 256, blocks: 3": "width: 48, blocks: 1", "count: 200_000": "count: 4000",
           "block_size: 100_000": "block_size: 4000", "limit: 100": "limit: 20"}  # fmt: skip
"""What is made smaller, so that a test may take it."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_of_the_page_works_in_an_empty_folder(tmp_path):
    pytest.importorskip("roadrunner")
    assert COMMANDS[0].startswith("pip install '.[all]' ")
    model = next(block for block in BLOCKS.values() if block.startswith("model repressilator"))
    (tmp_path / "repressilator.ant").write_text(model)
    emulate = next(block for block in BLOCKS.values() if "emulate:" in block)
    wanted = next(
        block for block in BLOCKS.values() if "oscillates:" in block and "peaks" not in block and "of 20" not in block
    )
    said = {}
    for command, folder, output in run_commands(COMMANDS[1:], tmp_path):
        said[command] = output
        if command.startswith("mechscreen check-model"):
            path = folder / "campaign.yaml"
            text = path.read_text()
            text = text.replace("    points: 101\n", f"    points: 101\n{emulate}")
            text = re.sub(r"^ +oscillates: .*\n", wanted, text, flags=re.M)
            for large, small in SMALLER.items():
                assert large in text
                text = text.replace(large, small)
            path.write_text(text)
    checked = next(text for command, text in said.items() if "check-model" in command)
    assert "Does an emulator pay?" in checked
    assert "WARNING: output 'A' oscillates" in checked
    dry, hits = (next(text for command, text in said.items() if part in command) for part in ("--dry-run", " hits "))
    assert "simulate_shard" in dry
    assert "simulated period(A, after=50)" in hits
    assert (folder / "results/repressilator/report.html").is_file()

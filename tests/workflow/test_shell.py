"""No value of a configuration reaches a shell unquoted."""

import re
import shlex
import subprocess

import yaml

from campaigns import ROOT, snakemake_command

RULES = sorted((ROOT / "workflow/rules").glob("*.smk"))

OURS = {
    "{threads}",
    "{resources.mpi}",
    "{resources.tasks}",
    "{resources.runtime}",
}
"""Numbers of our own, and the launcher, which the profile writes as a command with options."""

NASTY = """it's "a" $(touch evil) `touch evil`; touch evil & b #%*?|>evil \\ ~ é"""

EXAMPLE = ROOT / "examples/stripe.py"


def shell_commands(path):
    """Return the text of every ``shell:`` of a rule file."""
    blocks = re.findall(r"^ +shell:\n((?: +\".*\n)+)", path.read_text(), re.MULTILINE)
    return ["".join(re.findall(r'^ +"(.*)"$', block, re.MULTILINE)) for block in blocks]


def test_every_value_in_a_shell_command_is_quoted_or_a_number_of_our_own():
    commands = [(path, command) for path in RULES for command in shell_commands(path)]
    assert len(commands) == sum(len(re.findall(r"^ +shell:", path.read_text(), re.MULTILINE)) for path in RULES)
    for path, command in commands:
        constraints = path.read_text()
        for value in re.findall(r"\{[^{}]*\}", command):
            if value.endswith(":q}") or value in OURS:
                continue
            wildcard = re.fullmatch(r"\{wildcards\.(\w+)\}", value)
            assert wildcard, f"{path.name}: {value}"
            # What its constraint allows: digits, or the names of our figures.
            allowed = re.search(
                rf"^ +wildcard_constraints:\n(?: {{8,}}.*\n)*? {{8,}}{wildcard[1]}=(.*),$", constraints, re.MULTILINE
            )
            assert allowed, f"{path.name}: {value}"
            assert re.fullmatch(r'r"\\d(\+|\{[\d,]+\})"|"\|"\.join\(figure_names\(campaign\)\)', allowed[1])


def campaign(tmp_path):
    """A campaign whose every text is nasty, its model's place too."""
    folder = tmp_path / NASTY.replace("/", "")
    folder.mkdir()
    model = folder / f"model {NASTY}.py"
    model.write_text(EXAMPLE.read_text())
    return {
        "name": "nasty",
        "results": f"results {NASTY}",
        "seed": 7,
        "model": {"name": f"{model}:Stripe"},
        "simulations": {"count": 10, "shard_size": 10},
        "screen": {
            "count": 10,
            "block_size": 10,
            "objective": {
                "name": f"{model}:stripe_position",
                "options": {"classes": [NASTY, "$(touch evil)", "`touch evil`"]},
                "target": ["$(touch evil)"],
            },
        },
    }


def run(tmp_path, *arguments):
    command = snakemake_command(tmp_path, campaign(tmp_path), ROOT / "cluster_profiles/local", *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def test_commands_of_a_campaign_with_shell_characters_in_every_text_hold_them_as_one_word(tmp_path):
    done = run(tmp_path, "--dry-run", "--printshellcmds")
    assert done.returncode == 0, done.stdout + done.stderr
    commands = re.findall(
        r"^ *(?:Shell command: |)((?:mpiexec|mechscreen) .*log_to .*)$", done.stdout + done.stderr, re.M
    )
    verbs = set()
    for command in commands:
        words = shlex.split(command)
        verb = words[words.index("mechscreen") + 1]
        verbs.add(verb)
        assert words[words.index("--config") + 1] == f"results {NASTY}/nasty/campaign.yaml"
        assert words[-4:-1] == ["2>&1", "|", "log_to"]
        assert words[-1].startswith(f"results {NASTY}/nasty/logs/{verb}/")
    assert verbs == {"simulate", "merge", "train", "evaluate", "screen", "validate", "report"}
    assert not list(tmp_path.rglob("evil"))


def test_a_campaign_with_shell_characters_in_every_text_is_simulated(tmp_path):
    done = run(tmp_path, "simulations")
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / f"results {NASTY}/nasty"
    assert (results / "simulations/shard-00000.h5").is_file()
    assert yaml.safe_load((results / "campaign.yaml").read_text())["results"] == f"results {NASTY}"
    assert "running the code of" in (results / "logs/simulate/shard-00000.log").read_text()
    assert not list(tmp_path.rglob("evil"))

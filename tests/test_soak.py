import subprocess
import sys
from pathlib import Path


def test_the_soak_can_be_started():
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("soak.py"), "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--seed" in done.stdout

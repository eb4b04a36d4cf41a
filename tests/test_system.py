"""What differs between operating systems: on this one; and as on Windows and macOS, as far as Linux can look like them.

What a system lacks is taken away from Python before mechscreen is imported. Packages of others are imported before
that, since they are those for Linux.
"""

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from campaigns import EXAMPLE, ROOT
from mechscreen import system
from mechscreen.errors import InputError

OTHERS = """
import click, h5py, jinja2, matplotlib.pyplot, numba, numpy, pandas, pydantic, scipy.optimize, scipy.stats, tqdm, yaml
import asyncio, concurrent.futures.process, multiprocessing.connection, multiprocessing.pool
import ctypes, errno, fcntl, importlib, os, pkgutil, select, signal, subprocess, sys, tempfile, types
"""
NETWORKS = "import keras, mpi4py, openvino, psutil, tensorflow, xarray"
WINDOWS = f"""
{OTHERS}
flock, exclusive = fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB
def locking(descriptor, mode, count):
    # Windows: a lock on `count` bytes from where the file stands.
    assert (mode, count, os.lseek(descriptor, 0, os.SEEK_CUR)) == (2, 1, 2**30)
    try:
        flock(descriptor, exclusive)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None
sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
for name in ("fcntl", "grp", "posixpath.posix", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
for name in (
    "O_CLOEXEC O_DIRECTORY O_NONBLOCK chown fchmod fchown fork forkpty fstatvfs getegid geteuid getgid getloadavg "
    "getpgid getpgrp getuid killpg lchown mkfifo nice openpty pidfd_open posix_fallocate pread pwrite register_at_fork "
    "sched_getaffinity sched_setaffinity sched_yield sendfile setpgid setsid statvfs sync sysconf uname"
).split():
    if hasattr(os, name):
        delattr(os, name)
for name in (
    "SIGALRM SIGBUS SIGCHLD SIGHUP SIGKILL SIGUSR1 SIGUSR2 SIG_BLOCK SIG_SETMASK SIG_UNBLOCK pthread_kill "
    "pthread_sigmask setitimer siginterrupt sigwait"
).split():
    delattr(signal, name)
del errno.EREMOTEIO
os.O_BINARY = 0
def kill(pid, number):
    raise AssertionError("on Windows this would end the process")
def open(path, flags, *more, system=os.open, **named):
    # Windows opens no folders.
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    return system(path, flags, *more, **named)
def fsync(descriptor, system=os.fsync, flags=fcntl.fcntl, get=fcntl.F_GETFL, both=os.O_ACCMODE):
    if flags(descriptor, get) & both == os.O_RDONLY:
        raise OSError(errno.EBADF, "Bad file descriptor")
    system(descriptor)
os.kill, os.open, os.fsync = kill, open, fsync
sys.platform = "win32"
import mechscreen.system
mechscreen.system.sys = types.SimpleNamespace(platform=sys.platform)
sys.platform = "linux"  # for the packages of others, which are those for Linux
"""
MACOS = f"""
{OTHERS}
for name in ("pidfd_open", "sched_getaffinity", "sched_setaffinity"):
    delattr(os, name)
del errno.EREMOTEIO
sys.platform = "darwin"
import mechscreen.system
mechscreen.system.sys = types.SimpleNamespace(platform=sys.platform)
sys.platform = "linux"
"""
SYSTEMS = {"linux": "", "windows": WINDOWS, "macos": MACOS}
CALL = "sys.argv[0] = 'mechscreen'; from mechscreen.cli import main; main()"
LACKING = {"_posixsubprocess", "fcntl", "grp", "msvcrt", "pty", "pwd", "resource", "syslog", "termios", "tty", "winreg"}
"""Modules of Python that one of the systems has not."""


def run(name, code, *arguments, folder, others=""):
    """Run Python as on a system; `others` is imported before it looks like that."""
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", f"import sys\n{others}\n{SYSTEMS[name]}\n{code}", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_only_one_module_imports_what_a_system_may_lack():
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            else:
                names = {node.module} if isinstance(node, ast.ImportFrom) else set()
            found |= {path.name} if names & LACKING else set()
    assert found == {"system.py"}


@pytest.mark.parametrize("name", ["windows", "macos"])
def test_every_module_can_be_imported(name, tmp_path):
    code = """
sys.platform = mechscreen.system.sys.platform
for module in pkgutil.walk_packages(mechscreen.__path__, "mechscreen."):
    if module.name != "mechscreen.__main__":
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            print(module.name, error, sep=": ")
"""
    done = run(name, code, folder=tmp_path, others=NETWORKS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == (
        ["mechscreen.served: no process of its own on Windows"] if name == "windows" else []
    )


@pytest.mark.parametrize("name", ["windows", "macos"])
def test_help_and_a_discovery(name, tmp_path):
    done = run(name, CALL, "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "discover" in done.stdout
    t = np.arange(0, 5, 0.05)
    (tmp_path / "data.csv").write_text("t,x\n" + "".join(f"{a},{b}\n" for a, b in zip(t, np.exp(-t), strict=True)))
    done = run(name, CALL, "discover", "data.csv", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "dx/dt = " in done.stdout
    assert (tmp_path / "discovery/report.html").is_file()


CAMPAIGN = """
import mechscreen
from mechscreen.campaign import Campaign
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.validate import validate
campaign = Campaign.from_dict({
    "name": "small", "seed": 1, "results": "results", "model": {"name": "pattern"},
    "screen": {
        "by": "model", "count": 200, "block_size": 100, "objective": {"name": "rings", "target": ["0", "1", "2"]}
    },
    "validation": {"limit": 4},
})
campaign.record()
for block in range(2):
    screen_block(campaign, block)
gather_screen(campaign)
validate(campaign)
"""
READ = """
import hashlib, mechscreen
hits = mechscreen.open("results/small").hits
print(hashlib.sha256(hits.to_csv().encode()).hexdigest(), len(hits) > 100)
"""


def test_a_small_screen_by_the_model_runs_and_is_read_with_the_numbers_of_linux(tmp_path):
    said = {}
    for name in SYSTEMS:
        (tmp_path / name).mkdir()
        done = run(name, CAMPAIGN + READ, folder=tmp_path / name)
        assert done.returncode == 0, done.stderr[-3000:]
        said[name] = done.stdout.splitlines()[-1]
    assert said["windows"] == said["macos"] == said["linux"]
    assert said["linux"].endswith("True")
    # Results of elsewhere are read, too.
    done = run("windows", READ, folder=tmp_path / "linux")
    assert done.stdout.splitlines()[-1] == said["linux"], done.stderr[-3000:]


def test_a_model_of_ones_own_says_on_windows_where_it_runs_and_runs_on_macos(tmp_path):
    (tmp_path / "sets.csv").write_text("hill,c0,decay_length,K_on,K_off\n2,10,100,1,50\n")
    asked = ["simulate", "--model", f"{EXAMPLE}:Stripe", "--parameters", "sets.csv", "--out", "sets.h5"]
    done = run("windows", CALL, *asked, folder=tmp_path)
    assert done.returncode == 2, done.stderr[-3000:]
    assert "runs in a process of its own, which there is not on Windows; use WSL, Linux or macOS" in done.stderr
    assert not (tmp_path / "sets.h5").exists()
    done = run("macos", CALL, *asked, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "sets.h5").is_file()


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_file_is_held_by_one(name, tmp_path):
    code = """
from pathlib import Path
from mechscreen import storage
path = Path("run.json")
first = storage.hold(path)
first.write("held")
first.flush()
assert storage.hold(path) is None
assert storage.is_held(path) is True
assert path.read_text() == "held"
first.close()
assert storage.is_held(path) is False
"""
    done = run(name, code, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("told_by", ["the kernel", "looking again"])
def test_a_process_is_waited_for(told_by, monkeypatch):
    if told_by == "looking again":
        monkeypatch.setattr(system, "_descriptor_of", lambda pid: None)
    with subprocess.Popen(["sleep", "0.5"], process_group=0) as process, system.watching(process) as ended:
        assert not ended(0.01)
        assert ended(60.0)
        system.end_group(process)  # nobody is left


def test_a_group_ends_with_those_that_its_first_process_left_behind():
    code = "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid, flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], process_group=0, stdout=subprocess.PIPE) as process:
        left = int(process.stdout.readline())
        process.wait()
        assert system.is_running(left)
        system.end_group(process)
        assert is_gone(left)


@pytest.mark.parametrize("name", ["linux", "macos"])
def test_a_process_ends_with_the_one_that_started_it(name, tmp_path):
    serving = (
        f"import sys, os, time\nfrom mechscreen import system\nsys.platform = {name.replace('macos', 'darwin')!r}\n"
    )
    serving += "system.end_with(os.getppid())\nprint(os.getpid(), flush=True)\ntime.sleep(1000)"
    starting = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {serving!r}])\nsys.stdin.read()"
    command = [sys.executable, "-c", starting]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        served = int(process.stdout.readline())
        assert system.is_running(served)
        process.send_signal(signal.SIGKILL)
        assert is_gone(served)


def is_gone(pid):
    """Return whether a process has ended, waiting for it for a while."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_a_process_that_started_nothing_has_no_children_and_used_nothing():
    code = """
import subprocess, sys
from mechscreen import system
print(system.has_children(), sum(system.used_by_children()) > 0)
with subprocess.Popen(["sleep", "0.2"]):
    print(system.has_children())
print(system.has_children(), sum(system.used_by_children()) > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False", "True", "False", "True"], done.stderr


def test_what_needs_a_process_of_its_own_is_refused_on_windows_alone(monkeypatch):
    system.check_processes("model 'x'")
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(InputError, match="model 'x' runs in a process of its own"):
        system.check_processes("model 'x'")

"""A real SLURM on this machine: munge, MariaDB, slurmdbd, slurmctld and four slurmd, each with its files in one folder.

Daemons run in the foreground as children of this process and are stopped by their pids, last started first.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

NODES = ("n1", "n2", "n3", "n4")
CPUS_PER_NODE = 4
MEMORY_PER_NODE = 4000
"""MB."""
GPUS_PER_NODE = 2
GPU_MODEL = "a100"
"""Of the nodes n3 and n4; those of the others have no name."""
ACCOUNT = "lab"
TIGHT, NARROW, CLOSED = "tight", "narrow", "closed"
"""Accounts whose jobs may have one core, that may submit one job at a time, and none."""
_LIMITS = {TIGHT: "maxtres=cpu=1", NARROW: "maxsubmitjobs=1", CLOSED: "maxsubmitjobs=0"}

_PROGRAMS = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "sacctmgr", "srun")
_SYSTEM_CONFIGURATION = Path("/etc/slurm")
"""Where SLURM's commands look: the variable SLURM_CONF does not reach the steps of a job that Snakemake submits."""
_FILES = ("slurm.conf", "slurmdbd.conf", "cgroup.conf", "gres.conf")

SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={slurmctld}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdSpoolDir={folder}/spool-%n
TmpFS={folder}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=UsePss,OverMemoryKill
JobAcctGatherFrequency=task=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
ReturnToService=2
SlurmdTimeout=20
KillWait=5
MpiDefault=none
MinJobAge=300
GresTypes=gpu
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos
AccountingStorageHost=127.0.0.1
AccountingStoragePort={slurmdbd}
AccountingStoragePass={folder}/munge.socket
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=DEFAULT CPUs={cpus} RealMemory={memory}
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[0]}-{ports[1]}] Gres=gpu:{gpus}
NodeName=n[3-4] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[2]}-{ports[3]}] Gres=gpu:{model}:{gpus}
EnforcePartLimits=ALL
PartitionName=DEFAULT Nodes={nodes} State=UP PreemptMode=OFF PriorityTier=10
PartitionName=standard Default=YES MaxTime=INFINITE
PartitionName=short MaxTime=30
PartitionName=spare PriorityTier=1 PreemptMode=REQUEUE
PartitionName=theirs AllowAccounts=others
"""
SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={slurmdbd}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={mariadb}
StorageUser=root
StorageLoc=slurm_test
"""
CGROUP_CONF = """\
CgroupPlugin=cgroup/v1
CgroupAutomount=no
ConstrainCores=no
ConstrainRAMSpace=no
ConstrainDevices=no
"""


def what_is_missing() -> str:
    """Return why no cluster can be started here, empty if one can."""
    if getpass.getuser() != "root":
        return "a SLURM of several nodes needs root"
    missing = [program for program in _PROGRAMS if shutil.which(program, path=_environment()["PATH"]) is None]
    if missing:
        return f"{', '.join(missing)} not found; apt-get install munge mariadb-server slurm-wlm slurmdbd"
    others = [_SYSTEM_CONFIGURATION / name for name in _FILES]
    if any(file.exists() and not file.is_symlink() for file in others):
        return f"{_SYSTEM_CONFIGURATION} belongs to a SLURM of this machine"
    return ""


class Cluster:
    """A running cluster.

    Parameters
    ----------
    folder
        Where configuration, state and logs are written; its path must be short, for it holds sockets.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._linked: list[Path] = []

    def __enter__(self) -> Self:
        try:
            self._configure()
            self._start_accounting()
            self._start("slurmctld", "-D")
            self._wait(lambda: "is UP" in self._run("scontrol", "ping").stdout, "slurmctld")
            for node in NODES:
                self._start("slurmd", "-D", "-N", node, name=node)
            self._wait(lambda: self._states() == dict.fromkeys(NODES, "idle"), "the nodes")
        except BaseException:
            self._stop_all()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_all()

    def _states(self) -> dict[str, str]:
        """Return the state of each node."""
        lines = self._run("sinfo", "--Node", "--noheader", "--format=%N %t").stdout.splitlines()
        return dict(line.split() for line in lines)

    def finished(self) -> list[dict[str, str]]:
        """Return the jobs that ended well."""
        return [job for job in self.asked() if job["State"] == "COMPLETED"]

    def asked(self) -> list[dict[str, str]]:
        """Return state, nodes, resources and call of the jobs, from SLURM's accounting."""
        columns = ("JobName", "State", "NNodes", "AllocTRES", "SubmitLine")
        options = ("--allocations", "--parsable2", "--noheader", "--starttime=now-1day")
        lines = self._run("sacct", *options, f"--format={','.join(columns)}").stdout.splitlines()
        return [dict(zip(columns, line.split("|", len(columns) - 1), strict=True)) for line in lines]

    def kill_node(self, node: str) -> None:
        """Kill the daemon of a node with 9; its jobs live on until SLURM gives the node up."""
        self._kill(node)

    def kill_controller(self) -> None:
        """Kill the controller with 9; jobs go on, and nobody answers."""
        self._kill("slurmctld")

    def restart_controller(self) -> None:
        """Start the controller again, which knows what it knew."""
        self._start("slurmctld", "-D")
        self._wait(lambda: "is UP" in self._run("scontrol", "ping").stdout, "slurmctld")
        self._wait(lambda: set(self._states().values()) <= {"idle", "mix", "alloc"}, "the nodes")

    def kill_accounting(self) -> None:
        """Kill the daemon of accounting with 9; jobs go on, and what they took is told later."""
        self._kill("slurmdbd")

    def restart_accounting(self) -> None:
        """Start it again."""
        self._start("slurmdbd", "-D")
        self._wait(lambda: not self._run("sacctmgr", "show", "cluster").returncode, "slurmdbd")

    def restart_node(self, node: str, read_only: Path | None = None) -> None:
        """Start the daemon of a node again; what runs there may not write to a folder, if one is given."""
        daemon = ["slurmd", "-D", "-N", node]
        if read_only is None:
            self._start(*daemon, name=node)
        else:
            # A mount of its own, which nothing else on this machine sees.
            mounts = f'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec {" ".join(daemon)}'
            self._start("unshare", "--mount", "sh", "-c", mounts, "sh", str(read_only), name=node)
        self.resume_node(node)

    def resume_node(self, node: str) -> None:
        """Take a node back into service, unless SLURM has already done so."""

        def in_service() -> bool:
            # Asked again: a daemon that has just begun may not have told the controller of its node yet.
            self._run("scontrol", "update", f"nodename={node}", "state=resume")
            return self._states()[node] in ("idle", "mix", "alloc")

        self._wait(in_service, node)

    def _wait(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait until a condition holds.

        Raises
        ------
        TimeoutError
            If it does not within the time.
        """
        end = time.monotonic() + seconds
        while not condition():
            for name, daemon in self._daemons.items():
                if daemon.poll() is not None:
                    raise RuntimeError(f"{name} ended: {(self.folder / f'{name}.out').read_text()[-2000:]}")
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {seconds} s; logs are in {self.folder}")
            time.sleep(0.2)

    def _kill(self, name: str) -> None:
        """Kill a daemon with 9."""
        daemon = self._daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def _start(self, program: str, *arguments: str, name: str = "") -> None:
        """Start a daemon that stays in the foreground."""
        name = name or program
        with (self.folder / f"{name}.out").open("wb") as out:
            self._daemons[name] = subprocess.Popen(
                [program, *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )

    def _configure(self) -> None:
        ports = _free_ports(3 + len(NODES))
        names = {
            "folder": self.folder,
            "host": socket.gethostname().split(".")[0],
            "slurmctld": ports[0],
            "slurmdbd": ports[1],
            "mariadb": ports[2],
            "nodes": ",".join(NODES),
            "ports": ports[3:],
            "cpus": CPUS_PER_NODE,
            "memory": MEMORY_PER_NODE,
            "gpus": GPUS_PER_NODE,
            "model": GPU_MODEL,
        }
        self._mariadb_port = ports[2]
        self._write("slurm.conf", SLURM_CONF.format(**names))
        self._write("slurmdbd.conf", SLURMDBD_CONF.format(**names))
        self._write("cgroup.conf", CGROUP_CONF)
        devices = [self.folder / f"gpu{k}" for k in range(GPUS_PER_NODE)]
        for device in devices:
            # SLURM wants a character device of each GPU; that of /dev/null does.
            os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
        of_nodes = {"n[1-2]": "", "n[3-4]": f" Type={GPU_MODEL}"}
        lines = [f"NodeName={n} Name=gpu{kind} File={device}\n" for n, kind in of_nodes.items() for device in devices]
        self._write("gres.conf", "".join(lines))
        (self.folder / "state").mkdir()
        for node in NODES:
            (self.folder / f"spool-{node}").mkdir()
        _SYSTEM_CONFIGURATION.mkdir(exist_ok=True)
        for name in _FILES:
            link = _SYSTEM_CONFIGURATION / name
            link.unlink(missing_ok=True)
            link.symlink_to(self.folder / name)
            self._linked.append(link)

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        # slurmdbd refuses a configuration that others can read.
        (self.folder / name).chmod(0o600 if name == "slurmdbd.conf" else 0o644)

    def _start_accounting(self) -> None:
        self._start_munge()
        data = self.folder / "mariadb"
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root", "--skip-test-db"],
            check=True,
            capture_output=True,
        )
        options = ("--skip-grant-tables", "--bind-address=127.0.0.1", "--user=root", f"--port={self._mariadb_port}")
        self._start(
            "mariadbd",
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={self.folder}/mariadb.socket",
            f"--pid-file={self.folder}/mariadb.pid",
            *options,
        )
        self._wait(lambda: _answers(self._mariadb_port), "MariaDB")
        self._start("slurmdbd", "-D")
        self._wait(lambda: not self._run("sacctmgr", "show", "cluster").returncode, "slurmdbd")
        for what in (
            ["cluster", "test"],
            *(["account", account] for account in (ACCOUNT, *_LIMITS)),
            *(["user", "root", f"account={account}"] for account in (ACCOUNT, *_LIMITS)),
        ):
            self._run("sacctmgr", "--immediate", "add", *what).check_returncode()
        for account, limit in _LIMITS.items():
            of_user = ("where", "user=root", f"account={account}", "set", limit)
            self._run("sacctmgr", "--immediate", "modify", "user", *of_user).check_returncode()

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={self.folder}/munge.{end}" for option, end in files.items()]
        self._start("munged", "--foreground", "--force", "--num-threads=10", *options)
        self._wait((self.folder / "munge.socket").exists, "munge")

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=_environment())

    def _stop_all(self) -> None:
        subprocess.run(["scancel", "--user=root"], capture_output=True, timeout=60)
        for daemon in reversed(self._daemons.values()):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        for link in self._linked:
            link.unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    """Return the environment with the folders of daemons on the path, which not every user's has."""
    return {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"}


def _free_ports(number: int) -> list[int]:
    """Return free ports that follow one another."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        ports = list(range(first, first + number))
        if first + number < 65536 and not any(_answers(port) for port in ports):
            return ports


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

import shlex
import sys
from pathlib import Path

from mechscreen.errors import InputError, MechscreenError
from mechscreen.ranks import begin_job
from mechscreen.runs import driver
from mechscreen.runs.folder import write_plan
from mechscreen.runs.forecast import forecast, one_line
from mechscreen.runs.jobs import benchmark_file, log_file

# Jobs use the mechscreen and mpiexec of the environment that Snakemake runs in, activated or not. Their output goes to
# the log and to the screen; on SIGINT and SIGTERM tee lives on until the job, which then saves what it has, closes its
# end of the pipe. A prefix takes the place of Snakemake's own, which makes a pipe fail with its first command.
shell.prefix(
    "set -euo pipefail; "
    f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; "
    "log_to() {{ (trap '' INT TERM; exec tee \"$1\"); }}; "
)

if workflow.remote_exec:
    # A job's time runs from here, and not from when Snakemake, which calls itself once more in it, comes to the work.
    begin_job()


# What this process holds until it ends.
HELD = []


def load(kind, config, example):
    """Return the validated configuration of a kind, or end with its message and exit code."""
    try:
        if not config:
            raise InputError(f"no configuration; add e.g. --configfile {example}")
        return kind.from_dict(config)
    except MechscreenError as error:
        stop(error)


def results_of(campaign):
    """Return where a campaign's files stand, or end with a message if they are of an earlier format."""
    try:
        campaign.refuse_old_results()
        return campaign.paths
    except MechscreenError as error:
        stop(error)


def stop(error):
    print(f"mechscreen: {error}", file=sys.stderr)
    sys.exit(error.exit_code)


def write_resolved(path, configuration):
    from mechscreen.storage import update_text

    try:
        update_text(path, configuration.to_yaml())
    except MechscreenError as error:
        stop(error)


def print_summary(paths):
    from mechscreen.storage import exists, read_text

    try:
        if exists(paths.summary):
            print(f"\n{read_text(paths.summary)}", file=sys.stderr)
    except MechscreenError as error:
        print(f"mechscreen: {error}", file=sys.stderr)


def print_failures(root):
    from mechscreen.runs.status import failures

    try:
        print(f"\n{failures(root)}", file=sys.stderr)
    except MechscreenError as error:
        print(f"mechscreen: {error}", file=sys.stderr)


def begin_run(logs):
    """Return what holds the campaign's folder for this process, or end with a message and its exit code."""
    try:
        return driver.begin(paths.root, next(iter(logs), None))
    except MechscreenError as error:
        stop(error)


def reads(rule, job=""):
    """Return what a job reads, by the table of stages; of rules whose jobs all read the same, without a job."""
    found = FORECAST[rule].rule.inputs(job)
    return {
        what: [str(path) for path in files] if isinstance(files, list) else str(files)
        for what, files in found.items()
    }


def made_by(rule):
    """Return the files that say that the jobs of a rule are done."""
    return [str(path) for path in FORECAST[rule].rule.targets.values()]


def study_of_sizes(wildcards):
    if not campaign.learning.sizes:
        stop(
            InputError(
                f"'{campaign.name}' has no learning.sizes; give the numbers of samples to learn from"
            )
        )
    return made_by("measure_learning")


def log_of(verb, name):
    return str(log_file(paths.root, verb, name))


def benchmark_of(verb, name):
    return str(benchmark_file(paths.root, verb, name))


def scaled(value):
    """Return a resource that grows with each attempt at the job."""
    return lambda wildcards, attempt: value * attempt

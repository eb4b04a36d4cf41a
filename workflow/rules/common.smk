import math
import os
import shlex
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from mechscreen.errors import InputError, MechscreenError, as_told
from mechscreen.ranks import begin_job
from mechscreen.runs import driver, site
from mechscreen.runs.asked import check_arrays, check_resources
from mechscreen.runs.enough import (
    as_recorded,
    make_rounds_first,
    with_enough_rounds,
)
from mechscreen.runs.failures import Growth, read_failures
from mechscreen.runs.folder import check_folders, write_plan
from mechscreen.runs.forecast import cost_of, forecast, one_line, typical_speeds
from mechscreen.runs.jobs import benchmark_file, log_file
from mechscreen.runs.purged import restore_first
from mechscreen.runs.requests import VARIABLE as REQUESTS_VARIABLE, Requests
from mechscreen.runs.unrecorded import check_unrecorded
from mechscreen.runs.used import used, used_by_run, write_used
from mechscreen.runs.watch import Watch
from snakemake.logging import logger

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

if workflow.is_main_process and REQUESTS_VARIABLE in os.environ:
    # The doctor asks what jobs would ask for.
    logger.addHandler(
        Requests(workflow, Path(os.environ[REQUESTS_VARIABLE]), sys.argv[1:])
    )


# What this process holds until it ends, and what sees its jobs fail.
HELD = []
RUN_BEGINS = []
WATCHES = []


@contextmanager
def or_stop():
    """End with the message and the exit code of what is wrong inside, as the command line does."""
    try:
        yield
    except (MechscreenError, OSError) as error:
        told = as_told(error)
        if told is None:
            raise
        print(f"mechscreen: {told}", file=sys.stderr)
        sys.exit(told.exit_code)


def load(kind, config, example):
    """Return the validated configuration of a kind."""
    with or_stop():
        if not config:
            raise InputError(f"no configuration; add e.g. --configfile {example}")
        return kind.from_dict(config)


def in_rounds(campaign):
    """Return a campaign with as many rounds as it takes, where that is known; in jobs, as their run knew it."""
    with or_stop():
        if workflow.is_main_process:
            return with_enough_rounds(campaign)
        return as_recorded(campaign)


def results_of(campaign):
    """Return where a campaign's files stand, unless they are of an earlier format."""
    with or_stop():
        campaign.refuse_old_results()
        return campaign.paths


def ratios():
    """Return by what jobs that were done took this run's ask for ranks, memory and time."""
    with or_stop():
        if not workflow.is_main_process:
            return used_by_run(paths.root, driver.this_run())
        return used(paths.root, campaign.resources_like)


def set_tasks():
    """Return the ranks of rules that the profile or the command line sets, by which their time is asked for."""
    found = {}
    for rule, resources in workflow.resource_settings.overwrite_resources.items():
        text = str(getattr(resources.get("tasks"), "raw", "")).strip()
        if text.isdigit():
            found[rule] = int(text)
    return found


def see_folders(rules):
    """See that folders can be made where they are to stand, which Snakemake takes for granted."""
    files = [path for rule in rules for path in rule.targets.values()]
    files += [
        of(paths.root, rule.verb, "job")
        for rule in rules
        for of in (log_file, benchmark_file)
    ]
    with or_stop():
        check_folders(path.parent for path in files)


def see_resources():
    """See that what the profile asks for jobs makes sense."""
    with or_stop():
        check_resources(
            workflow.resource_settings.overwrite_resources,
            workflow.resource_settings.default_resources or {},
        )


@cache
def see_origins():
    """See once that the files that stand there are this campaign's, where Snakemake cannot tell.

    Called while jobs are planned: what Snakemake is to do is not known before.
    """
    name_jobs()
    asked = workflow.dag_settings
    if not workflow.is_main_process:
        return
    if asked.forceall:
        with or_stop():
            if workflow.executor_plugin is not None and not workflow.dryrun:
                make_rounds_first(campaign, asked.targets, whole_run=False)
        return
    again = {*asked.forcerun, *(asked.targets if asked.forcetargets else ())}
    with or_stop():
        check_unrecorded(
            [step.rule for step in FORECAST.values()], again, touched=workflow.touch
        )
        whole_run = not (again or workflow.touch or asked.until or asked.omit_from)
        executed = workflow.executor_plugin is not None and not workflow.dryrun
        if executed and not (workflow.touch or RUN_BEGINS):
            make_rounds_first(campaign, asked.targets, whole_run=whole_run)
        if whole_run and workflow.executor_plugin is not None:
            rules = [step.rule for step in FORECAST.values()]
            restore_first(campaign.name, rules, asked.targets, dry_run=workflow.dryrun)


def name_jobs():
    """Let the names of jobs on SLURM say whose they are, unless the profile gives them a prefix."""
    settings = workflow.executor_settings
    if getattr(settings, "jobname_prefix", None) == "":
        settings.jobname_prefix = driver.job_prefix(str(paths.root.resolve()))


def reads_at_last(rule, job):
    """Return what a job reads that many others lead to: here it is seen what stands there, while Snakemake plans.

    Not at the ten thousand jobs that read nothing: a function for each would take a tenth of the time of planning.
    """
    see_origins()
    return reads(rule, job)


def write_resolved(path, configuration):
    from mechscreen.storage import update_text

    with or_stop():
        update_text(path, configuration.to_yaml())


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
    """Hold the campaign's folder for this process, one at a time, and write there what is run."""
    # Snakemake has locked the folder.
    RUN_BEGINS.append(True)
    # Where single files were asked for, it was not seen yet.
    see_origins()
    with or_stop():
        check_arrays(
            getattr(workflow.executor_settings, "array_jobs", None),
            [rule for rule, step in FORECAST.items() if step.cost.mpi],
        )
        # The lock ends with this process.
        HELD.append(driver.begin(paths.root, next(iter(logs), None)))
        speeds = typical_speeds(campaign)
        typical = {name: cost_of(step.rule, speeds) for name, step in FORECAST.items()}
        WATCHES.append(
            Watch(workflow, paths.root, driver.this_run(), sys.argv, typical)
        )
        logger.addHandler(WATCHES[0])
        # Jobs read this resolved copy, so that `--config` overrides reach them too.
        campaign.record()
        # What there is to do, for whoever looks at the folder without the model.
        write_plan(campaign, FORECAST.values(), workflow.dag_settings.targets)
        write_used(paths.root, driver.this_run(), RATIOS)


def each_round(path):
    """Return the file of a job of any round, given that of the first round's: in later ones it stands below a folder."""
    if campaign.own_rounds == 1:
        return str(path)
    return f"{paths.root}/{{round}}{Path(path).relative_to(paths.root)}"


def round_of(wildcards):
    """Return the folder of a job's round, below the campaign's; nothing in the first."""
    return getattr(wildcards, "round", "")


def in_round(rule, job=""):
    """Return what a job of any round reads; nothing of a campaign with one, whose jobs `in_first_round` knows."""
    if campaign.own_rounds == 1:
        return []

    def read(wildcards):
        return reads(rule, f"{round_of(wildcards)}{job.format(**wildcards)}")

    return [unpack(read)]


def in_first_round(rule, job=""):
    """Return what a job reads in a campaign with one round.

    A function for each of ten thousand jobs would take a tenth of the time of planning.
    """
    return reads(rule, job) if campaign.own_rounds == 1 else {}


def fingerprint_of(rule):
    """Return what says what the file of a job depends on."""
    found = FORECAST[rule].rule
    if campaign.own_rounds == 1 or not found.row.each_round:
        return found.identity().fingerprint
    return lambda wildcards: found.identity(round_of(wildcards)).fingerprint


def reads(rule, job=""):
    """Return what a job reads, by the table of stages; of rules whose jobs all read the same, without a job."""
    found = FORECAST[rule].rule.inputs(job)
    return {
        what: [str(path) for path in files] if isinstance(files, list) else str(files)
        for what, files in found.items()
    }


def made_by(rule):
    """Return the files that say that the jobs of a rule are done; what ends with a message if there is none such."""
    step = FORECAST.get(rule)
    return (
        refused if step is None else [str(path) for path in step.rule.targets.values()]
    )


def seen_and_made_by(rule):
    """Return what `made_by` does, and see what stands there, where no job that sees to it is planned."""

    def made(wildcards):
        see_origins()
        files = made_by(rule)
        return files(wildcards) if callable(files) else files

    return made


def refused(wildcards):
    with or_stop():
        raise InputError(
            f"'{campaign.name}' has no such stage: by screen.by = model, its screen needs no emulators"
        )


def study_of_sizes(wildcards):
    with or_stop():
        if not campaign.learning.sizes:
            raise InputError(
                f"'{campaign.name}' has no learning.sizes; give the numbers of samples to learn from"
            )
    return made_by("measure_learning")


def of_members(name):
    """Return a file of each member of the ensemble."""
    return [
        each_round(FIRST.member(number) / name)
        for number in range(campaign.emulators.members)
    ]


def probabilities(wildcards):
    with or_stop():
        if not (campaign.by_model or campaign.calibration.count):
            raise InputError(
                f"'{campaign.name}' asks for no probabilities; set calibration.count to a number of simulations"
            )
    return made_by("calibrate_ensemble")


def of_measured_data(step):
    """Return what `made_by` does, where there is such a rule."""

    def made(wildcards):
        with or_stop():
            if step not in FORECAST:
                raise InputError(
                    f"'{campaign.name}' fits no measured data; look for them (screen.objective: {{name: match}})"
                )
        files = made_by(step)
        return files(wildcards) if callable(files) else files

    return made


def log_of(verb, name):
    return str(log_file(paths.root, verb, name))


def benchmark_of(verb, name):
    return str(benchmark_file(paths.root, verb, name))


@cache
def growth_so_far():
    """Return what a job of this run can know of the attempts at it before."""
    return Growth(read_failures(paths.root, driver.this_run()))


def growth():
    if WATCHES:
        return WATCHES[0].growth
    return growth_so_far() if workflow.remote_exec else Growth()


def memory_of(rule):
    """Return the resource that is the memory of a rule's jobs, which grows where an attempt lacked it.

    It is of each rank, or of a job; where the profile has `mem_mb_per_cpu` for all, of each core, and no less than that.
    """
    least = least_of_a_core()

    def megabytes(wildcards, attempt):
        times = growth().memory(rule, dict(wildcards.items()))
        return limits_if(times).memory(FORECAST[rule].megabytes, times)

    def of_a_core(wildcards, attempt, threads):
        return max(least, math.ceil(megabytes(wildcards, attempt) / threads))

    if FORECAST[rule].cost.mpi or least:
        return {"mem_mb_per_cpu": of_a_core if least else megabytes}
    return {"mem_mb": megabytes}


def least_of_a_core():
    """Return what the profile has each core have at least, where it asks for memory by core; else 0."""
    found = (workflow.resource_settings.default_resources or {}).get("mem_mb_per_cpu")
    return int(getattr(found, "raw", found) or 0)


def minutes_of(rule):
    """Return the time of a rule's jobs, which grows where an attempt met its limit."""

    def minutes(wildcards, attempt):
        times = growth().time(rule, dict(wildcards.items()))
        return limits_if(times).time(FORECAST[rule].minutes, times)

    return minutes


def limits_if(times):
    """Return what the cluster has to give; it is asked only where a job needs more than at first."""
    on_slurm = (
        workflow.remote_exec or getattr(workflow.executor_plugin, "name", "") == "slurm"
    )
    return site.limits() if times > 1 and on_slurm else site.NONE

"""``mechscreen <verb>``: parse, call a stage. Stages are imported where they are needed, since they are heavy."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn, get_args

import click

from mechscreen.campaign import SAMPLE_TIME_LIMIT, Campaign, ModelSection, json_schema
from mechscreen.campaign.campaign import MOST_ROUNDS
from mechscreen.emulators.conformal import LEVELS
from mechscreen.emulators.quiet import be_quiet
from mechscreen.emulators.settings import Combine
from mechscreen.errors import (
    EXIT_UNFINISHED,
    InputError,
    MechscreenError,
    OutOfMemoryError,
    StorageError,
    as_told,
    nearest,
)
from mechscreen.extras import what_to_install
from mechscreen.progress import printable
from mechscreen.ranks import ALONE, Deadline, Interrupted, Ranks
from mechscreen.version import __version__

EXIT_WRONG = 1


class _Group(click.Group):
    """Commands in the order of the data, and the nearest name for an unknown one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise click.UsageError(f"no verb '{args[0]}'{nearest(args[0], self.commands)} (see mechscreen --help)", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mechscreen")
def cli() -> None:
    """Screen mechanistic models of biology with neural emulators.

    A campaign runs through Snakemake; each verb is one of its stages, and can be called by hand:

    \b
      (select →) simulate → merge → train → evaluate → (calibrate →) screen → validate →
      (polish → infer →) report

    \b
    Example:
      snakemake --workflow-profile cluster_profiles/local --configfile config/demo.yaml
    """


class _Path(click.Path):
    """A path that the system can look up, whether or not there is something."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(str(super().convert(value, param, ctx)))
        try:
            path.exists()
        except OSError as error:
            told = as_told(error)
            if told is not None:
                raise told from error
            self.fail(f"{str(path)[:200]!r}: {error.strerror}", param, ctx)
        return path


class _Method(click.ParamType):
    """A method of discovery. The table of them comes with compiled solvers, which take seconds to import."""

    name = "method"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        from mechscreen.discovery.pipeline import METHODS

        return f"[{'|'.join(METHODS)}]"


class _Form(click.ParamType):
    """A kind of terms with unknowns inside; the table of them comes with compiled solvers, too."""

    name = "kind"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        from mechscreen.discovery.forms import KINDS

        return f"[{'|'.join(KINDS)}]"


def _names(text: str | None) -> list[str]:
    """Return names that are separated by commas."""
    return [] if text is None else [name.strip() for name in text.split(",")]


def _unknown(text: str) -> tuple[str, tuple[float, float] | None]:
    """Return the name of an unknown, and between what values it is, of ``NAME`` or ``NAME=LOW:HIGH``."""
    name, given, ends = text.partition("=")
    try:
        low, high = map(float, ends.split(":")) if given else (0.0, 0.0)
    except ValueError:
        raise InputError(f"--unknown {text}: give a name, or a name and two values, such as K or n=1:8") from None
    return name.strip(), (low, high) if given else None


class _Round(click.ParamType):
    """The number of a round, or its folder below the campaign's, which the first does without."""

    name = "round"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).removeprefix("round-").rstrip("/") or "1"
        if not text.isdecimal() or not 1 <= int(text) <= MOST_ROUNDS:
            self.fail(f"{value!r} is no round", param, ctx)
        return int(text)


# What cannot be read is told by what reads it.
_PATH = _Path(path_type=Path, readable=False)


def _config(command: Any) -> Any:
    return click.option("--config", "config", required=True, type=_PATH, help="The campaign's YAML file.")(command)


def _round(command: Any) -> Any:
    return click.option(
        "--round",
        "number",
        type=_Round(),
        help="Of a campaign with rounds: which; the last, unless given.",
    )(command)


def _load(config: Path, number: int | None) -> Campaign:
    """Load a campaign, as it is in one of its rounds, or the last."""
    campaign = Campaign.load(config)
    return campaign.learnt if number is None else campaign.of_round(number)


def _ranks(command: Any) -> Any:
    return click.option(
        "--ranks",
        type=click.IntRange(min=1),
        help="Ranks the launcher was asked for; stops if MPI sees another number.",
    )(command)


def _time_limit(command: Any) -> Any:
    return click.option(
        "--time-limit",
        type=click.FloatRange(min=0, min_open=True),
        metavar="MINUTES",
        help="Save what is done and stop (exit code 75) before so many minutes are over.",
    )(command)


def _threads(command: Any) -> Any:
    return click.option("--threads", type=click.IntRange(min=1), help="Threads of the network library.")(command)


def _deadline(minutes: float | None) -> Deadline:
    return Deadline(None if minutes is None else 60 * minutes)


@contextmanager
def _job(campaign: Campaign, verb: str, name: str, ranks: Ranks = ALONE) -> Iterator[None]:
    """Show `mechscreen status` that a job of the workflow runs, by holding its log; ranks fail together."""
    from mechscreen.runs.jobs import at_work, log_file

    log = log_file(campaign.paths.root, verb, name)
    with ranks.together(), at_work(log) if ranks.is_root else nullcontext(True) as alone:
        if not alone:
            logging.getLogger(__name__).warning(
                "%s %s: another process makes the same; both give the same file, but if a killed run left it behind, "
                "end it with: mechscreen recover %s",
                verb,
                name,
                campaign.paths.root,
            )
        yield


def _use_threads(threads: int | None) -> None:
    """Tell the network library how many threads to use; it is told when it is imported."""
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)


@cli.command()
@_config
@_round
@click.option("--shard", type=click.IntRange(min=0), required=True, help="Number of the shard of simulations.")
@_threads
def select(config: Path, number: int | None, shard: int, threads: int | None) -> None:
    """Select the parameter sets of a shard for which the ensemble before is unsure or finds the target.

    \b
    Example:
      mechscreen select --config config/active.yaml --round 2 --shard 0
    """
    from mechscreen.stages.select import select as select_parameters

    campaign = _load(config, number)
    _use_threads(threads)
    with _job(campaign, "select", campaign.paths.selected(shard).stem):
        select_parameters(campaign, shard)


@cli.command()
@click.option("--config", type=_PATH, help="The campaign's YAML file.")
@_round
@click.option("--shard", type=click.IntRange(min=0), help="Number of the shard to make.")
@click.option("--model", help="Not a campaign's: registered name, package.module:Class or path/to/file.py:Class.")
@click.option("--parameters", type=_PATH, help="Table such as CSV; its header names the parameters.")
@click.option("--normalised", is_flag=True, help="The table holds normalised values, not physical ones.")
@click.option("--sensitivity", is_flag=True, help="Also store how far profiles move when parameters change by 5e-6.")
@click.option("--out", type=_PATH, help="HDF5 file to write.")
@_ranks
@_time_limit
def simulate(
    config: Path | None,
    number: int | None,
    shard: int | None,
    model: str | None,
    parameters: Path | None,
    normalised: bool,
    sensitivity: bool,
    out: Path | None,
    ranks: int | None,
    time_limit: float | None,
) -> None:
    """Simulate one shard of a campaign, or a table of parameter sets with its model or another.

    \b
    Examples:
      mpiexec -n 2 mechscreen simulate --config config/demo.yaml --shard 0 --ranks 2
      mechscreen simulate --config config/demo.yaml --parameters sets.csv --out sets.h5
      mechscreen simulate --model pattern --parameters sets.csv --out sets.h5
    """
    from mechscreen.stages.simulate import simulate as simulate_shard
    from mechscreen.stages.simulate import simulate_table

    by_table = (model, parameters, out) != (None, None, None) or normalised or sensitivity
    campaign = None if config is None else _load(config, number)
    if campaign is not None and shard is not None and not by_table:
        us = Ranks.launched(ranks)
        name = campaign.paths.shard(shard).stem
        with _job(campaign, "simulate", name, us), _deadline(time_limit) as deadline:
            simulate_shard(campaign, shard, us, deadline)
    elif parameters is not None and out is not None and shard is None and (campaign is None) != (model is None):
        us = Ranks.launched(ranks)
        with us.together(), _deadline(time_limit) as deadline:
            given = ModelSection(name=str(model)) if campaign is None else campaign.model
            simulate_table(
                given.name,
                parameters,
                out,
                options=given.options,
                sample_time_limit=campaign.simulations.sample_time_limit if campaign else SAMPLE_TIME_LIMIT,
                normalised=normalised,
                sensitivity=sensitivity,
                ranks=us,
                deadline=deadline,
            )
    else:
        raise click.UsageError("give --config and --shard, or --parameters and --out with either --config or --model")


@cli.command()
@_config
@_round
def merge(config: Path, number: int | None) -> None:
    """Verify all shards and merge them into a training set.

    \b
    Example:
      mechscreen merge --config config/demo.yaml
    """
    from mechscreen.stages.merge import merge as merge_shards

    campaign = _load(config, number)
    with _job(campaign, "merge", "merge"):
        merge_shards(campaign)


@cli.command("import")
@click.argument("config", metavar="CAMPAIGN", type=_PATH)
@click.argument("tables", metavar="[TABLE]...", nargs=-1, type=_PATH)
def import_(config: Path, tables: tuple[Path, ...]) -> None:
    """Check simulations of your own (CSV, NPZ, HDF5) against a campaign, and say how its networks learn from them.

    \b
    Example:
      mechscreen import config/demo.yaml runs.csv more.h5
    """
    from mechscreen.stages.imported import tell

    click.echo(tell(Campaign.load(config), tables))


@cli.command()
@_config
@_round
@click.option("--member", type=click.IntRange(min=0), help="Number of the ensemble's member.")
@click.option("--together", is_flag=True, help="All members at once, on one card, by JAX.")
@click.option("--samples", type=click.IntRange(min=1), help="Learn from the first so many (one of learning.sizes).")
@_threads
@_time_limit
def train(
    config: Path,
    number: int | None,
    member: int | None,
    together: bool,
    samples: int | None,
    threads: int | None,
    time_limit: float | None,
) -> None:
    """Train one member of the ensemble, or all at once; continues where it was stopped.

    \b
    Example:
      mechscreen train --config config/demo.yaml --member 0
    """
    from mechscreen.stages.train import train as train_member
    from mechscreen.stages.train import train_together

    if (member is None) is not together or (together and samples is not None):
        raise click.UsageError("give --member and its number, or --together for all members")
    if samples is not None and number is not None:
        raise click.UsageError("--samples is of the study of the last round; leave --round out")
    # Studies are of what the last round learnt.
    campaign = _load(config, number) if samples is None else Campaign.load(config)
    _use_threads(threads)
    if member is None:
        with _job(campaign, "train", "together"), _deadline(time_limit) as deadline:
            train_together(campaign, deadline)
        return
    verb, name = ("train", f"member-{member}") if samples is None else ("learn", f"samples-{samples}-member-{member}")
    with _job(campaign, verb, name), _deadline(time_limit) as deadline:
        train_member(campaign, member, deadline, samples)


@cli.command()
@_config
@_threads
def learn(config: Path, threads: int | None) -> None:
    """Measure how the error falls with the number of training samples (learning.sizes).

    \b
    Example:
      mechscreen learn --config config/learning.yaml
    """
    from mechscreen.stages.learn import learn as measure_learning

    campaign = Campaign.load(config)
    _use_threads(threads)
    with _job(campaign, "learn", "learn"):
        measure_learning(campaign)


@cli.command()
@_config
@_round
@_threads
def evaluate(config: Path, number: int | None, threads: int | None) -> None:
    """Measure the ensemble on the test split.

    \b
    Example:
      mechscreen evaluate --config config/demo.yaml
    """
    from mechscreen.stages.evaluate import evaluate as evaluate_ensemble

    campaign = _load(config, number)
    _use_threads(threads)
    with _job(campaign, "evaluate", "evaluate"):
        evaluate_ensemble(campaign)


@cli.command()
@_config
@_ranks
@_time_limit
def calibrate(config: Path, ranks: int | None, time_limit: float | None) -> None:
    """Find how likely each class is by what the members say (calibration.count).

    \b
    Example:
      mpiexec -n 2 mechscreen calibrate --config campaign.yaml --ranks 2
    """
    from mechscreen.stages.calibrate import calibrate as calibrate_ensemble

    campaign = Campaign.load(config)
    us = Ranks.launched(ranks)
    _use_threads(1)
    with _job(campaign, "calibrate", "calibrate", us), _deadline(time_limit) as deadline:
        calibrate_ensemble(campaign, us, deadline)


@cli.command()
@_config
@click.option("--block", type=click.IntRange(min=0), help="Number of the block to screen.")
@click.option("--gather", is_flag=True, help="Gather all blocks into summary.h5 and hits.h5 instead.")
@_ranks
@_time_limit
def screen(config: Path, block: int | None, gather: bool, ranks: int | None, time_limit: float | None) -> None:
    """Screen one block of parameter sets with the ensemble, or gather all blocks.

    \b
    Examples:
      mpiexec -n 2 mechscreen screen --config config/demo.yaml --block 0 --ranks 2
      mechscreen screen --config config/demo.yaml --gather
    """
    from mechscreen.stages.screen import gather_screen, screen_block

    if gather == (block is not None):
        raise click.UsageError("give either --block or --gather")
    campaign = Campaign.load(config)
    if block is None:
        with _job(campaign, "screen", "gather"):
            gather_screen(campaign)
        return
    us = Ranks.launched(ranks)
    _use_threads(1)
    with _job(campaign, "screen", campaign.paths.block(block).stem, us), _deadline(time_limit) as deadline:
        screen_block(campaign, block, us, deadline)


@cli.command()
@_config
@_ranks
@_time_limit
def validate(config: Path, ranks: int | None, time_limit: float | None) -> None:
    """Simulate the hits of the screen and compare.

    \b
    Example:
      mpiexec -n 2 mechscreen validate --config config/demo.yaml --ranks 2
    """
    from mechscreen.stages.validate import validate as validate_hits

    campaign = Campaign.load(config)
    us = Ranks.launched(ranks)
    _use_threads(1)
    with _job(campaign, "validate", "validate", us), _deadline(time_limit) as deadline:
        validate_hits(campaign, us, deadline)


@cli.command()
@_config
@_ranks
@_time_limit
def polish(config: Path, ranks: int | None, time_limit: float | None) -> None:
    """Search for the best parameter sets: by measured data, or the largest values (objectives match and maximise).

    \b
    Example:
      mpiexec -n 2 mechscreen polish --config campaign.yaml --ranks 2
    """
    from mechscreen.stages.polish import polish as polish_sets

    campaign = Campaign.load(config)
    us = Ranks.launched(ranks)
    _use_threads(1)
    with _job(campaign, "polish", "polish", us), _deadline(time_limit) as deadline:
        polish_sets(campaign, us, deadline)


@cli.command()
@_config
@_ranks
@_time_limit
def infer(config: Path, ranks: int | None, time_limit: float | None) -> None:
    """Sample the posterior of the parameters, given measured data (posterior.draws).

    \b
    Example:
      mpiexec -n 2 mechscreen infer --config campaign.yaml --ranks 2
    """
    from mechscreen.stages.infer import infer as infer_posterior

    campaign = Campaign.load(config)
    us = Ranks.launched(ranks)
    _use_threads(1)
    with _job(campaign, "infer", "infer", us), _deadline(time_limit) as deadline:
        infer_posterior(campaign, us, deadline)


@cli.command()
@click.argument("results", type=_PATH)
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="How many to print.")
def hits(results: Path, top: int) -> None:
    """Print the validated hits of a campaign, those to trust most first.

    \b
    Example:
      mechscreen hits results/demo --top 20
    """
    from mechscreen.reports.hits import list_hits

    click.echo(list_hits(results, top))


@cli.command()
@click.argument("what", type=click.Choice(["simulations", "series", "hits", "validated", "planes", "hit", "emulator"]))
@click.argument("folder", type=_PATH)
@click.option("--to", type=_PATH, help="File to write; its name's ending says of which kind (docs/howto/results.md).")
@click.option("--failed", is_flag=True, help="Write simulations that failed, too, with status and reason.")
@click.option("--number", type=click.IntRange(min=1), help="Of a hit, among the validated ones, by trust.")
@click.option("--sample", type=click.IntRange(min=0), help="Of a hit, instead: its sample number in the screen.")
def export(what: str, folder: Path, to: Path | None, failed: bool, number: int | None, sample: int | None) -> None:
    """Write results as files of other programs: .csv, .parquet, .npz, .nc, .sbi.npz; one hit as .xml, .sh, .yaml.

    Series have a row for each point of time, as discover reads them; FOLDER may be a file that simulate wrote. An
    emulator is written as .onnx; FOLDER may be the ensemble's own, or an archive of pack.

    \b
    Examples:
      mechscreen export simulations results/demo --to runs.parquet
      mechscreen export series sets.h5 --to series.csv
      mechscreen export simulations results/demo --to pairs.sbi.npz
      mechscreen export hit results/demo --number 1 --to hit.yaml
      mechscreen export emulator results/demo --to demo.onnx
    """
    from mechscreen.reading import open_results
    from mechscreen.reading.export import export as write_results
    from mechscreen.reading.hit import export_hit

    if what == "hit":
        if failed or (number is None) == (sample is None):
            raise click.UsageError("of a hit, give either --number or --sample, and nothing but --to besides")
        click.echo(export_hit(open_results(folder), number, sample, to), nl=to is not None)
        return
    if to is None or number is not None or sample is not None:
        raise click.UsageError("give --to; --number and --sample are of one hit")
    if what == "emulator":
        from mechscreen.reading.emulator import export_emulator

        if failed:
            raise click.UsageError("an emulator has no simulations that failed; leave --failed out")
        click.echo(export_emulator(folder, to))
        return
    if what == "series":
        from mechscreen.reading.series import export_series

        if failed:
            raise click.UsageError("simulations that failed have no series; leave --failed out")
        click.echo(export_series(folder, to))
        return
    click.echo(write_results(open_results(folder), what, to, failed))


@cli.command()
@click.argument("results", type=_PATH)
@click.option("--output", type=_PATH, help="Archive to write; the campaign's name with .zip unless given.")
@click.option("--dataset", is_flag=True, help="Put the training set in, too, which may be large.")
@click.option("--license", "licence", help="By which others may use it: as SPDX calls it (CC-BY-4.0), or an address.")
def pack(results: Path, output: Path | None, dataset: bool, licence: str | None) -> None:
    """Pack a campaign's emulator with all that tells of it as one archive (RO-Crate), which predict takes anywhere.

    \b
    Examples:
      mechscreen pack results/demo
      mechscreen pack results/demo --output rings.zip --dataset --license CC-BY-4.0
    """
    from mechscreen.reading.pack import pack as write_package

    click.echo(write_package(Campaign.open(results), output, dataset=dataset, licence=licence))


@cli.command()
@click.argument("results", required=False, type=_PATH)
@click.option("--config", type=_PATH, help="The campaign's YAML file, instead of its folder of results.")
@click.option("--figure", help="Draw this figure only.")
@click.option("--compare", type=_PATH, help="Folder of results of another campaign: write a page on both instead.")
def report(results: Path | None, config: Path | None, figure: str | None, compare: Path | None) -> None:
    """Draw the figures, or write the report of a campaign; a folder of results is enough, and runs no code of a user's.

    \b
    Examples:
      mechscreen report results/demo
      mechscreen report --config config/demo.yaml --figure planes
      mechscreen report results/demo --compare results/wider
    """
    from mechscreen.stages.compare import compare as write_comparison
    from mechscreen.stages.report import draw
    from mechscreen.stages.report import report as write_report

    if results is not None and config is None:
        campaign = Campaign.open(results)
    elif config is not None and results is None:
        campaign = Campaign.load(config)
    else:
        raise click.UsageError("give either a folder of results, or --config")
    if figure is not None and compare is not None:
        raise click.UsageError("give --figure or --compare, not both")
    if compare is not None:
        click.echo(write_comparison(campaign, Campaign.open(compare)))
        return
    with _job(campaign, "report", figure or "report"):
        if figure is not None:
            draw(campaign, figure)
        else:
            write_report(campaign)


@cli.command()
@click.option("--ensemble", type=_PATH, required=True, help="Folder of the members, or an archive of pack.")
@click.option("--parameters", type=_PATH, required=True, help="Table of parameter sets, such as CSV.")
@click.option("--normalised", is_flag=True, help="The table holds normalised values, not physical ones.")
@click.option("--out", type=_PATH, required=True, help="HDF5 file to write.")
@click.option(
    "--combine",
    type=click.Choice(get_args(Combine)),
    help="What the most agreeing member says, or the mean of all; unless given, as the campaign was evaluated.",
)
@click.option(
    "--bands",
    type=click.Choice([f"{level:g}" for level in LEVELS]),
    help="Write bands, too, that hold so large a share of what the model would say.",
)
@_threads
def predict(
    ensemble: Path,
    parameters: Path,
    normalised: bool,
    out: Path,
    combine: Combine | None,
    bands: str | None,
    threads: int | None,
) -> None:
    """Predict a table of parameter sets with an ensemble.

    \b
    Examples:
      mechscreen predict --ensemble results/demo/emulators/dense --parameters sets.csv --out predicted.h5
      mechscreen predict --ensemble demo.zip --parameters sets.csv --out predicted.h5
    """
    from mechscreen.stages.predict import predict_table

    _use_threads(threads)
    level = None if bands is None else float(bands)
    predict_table(ensemble, parameters, out, normalised=normalised, combine=combine, level=level)


@cli.command()
@click.argument("table", type=_PATH)
@click.option(
    "--time",
    default="t",
    show_default=True,
    help="Column of the times; without a column t, the one that plainly has them is taken.",
)
@click.option("--trajectory", default="trajectory", show_default=True, help="Column that names trajectories, if any.")
@click.option(
    "--columns", metavar="NAMES", help="Columns that are variables, comma-separated; all others unless given."
)
@click.option(
    "--degree", type=click.IntRange(min=1), help="Highest degree of monomials: 2 unless given, 3 with --library auto."
)
@click.option("--term", "terms", multiple=True, help="Further candidate, e.g. 'sin(x)'; may be repeated.")
@click.option(
    "--library",
    "forms",
    multiple=True,
    type=_Form(),
    help="Terms with unknowns inside beside the monomials, such as x/(K + x); may be repeated.",
)
@click.option(
    "--unknown",
    "unknowns",
    multiple=True,
    metavar="NAME[=LOW:HIGH]",
    help="Number in a --term that is to be found, between two values; may be repeated.",
)
@click.option("--hidden", multiple=True, metavar="NAME", help="Variable that was never measured; may be repeated.")
@click.option(
    "--input", "inputs", metavar="NAMES", help="Columns that act on others and have no equation, comma-separated."
)
@click.option(
    "--constant",
    "constants",
    metavar="NAMES",
    help="Columns of numbers that stay the same in a trajectory and that terms may have, comma-separated.",
)
@click.option(
    "--group", metavar="NAME", help="Column of conditions: all have the same terms, and coefficients may vary by it."
)
@click.option(
    "--varies",
    multiple=True,
    metavar="'EQUATION: TERM'",
    help="Coefficient with a value for each condition, such as 'x: x*y'; may be repeated; found out unless given.",
)
@click.option(
    "--noise",
    multiple=True,
    metavar="[NAME=]KIND",
    help="constant, proportional or poisson, or NAME=COLUMN of standard deviations; may be repeated; whichever suits "
    "the data unless given.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="End the search after so many minutes, with the best equations that it has then, and say so.",
)
@click.option("--split-at-restart", is_flag=True, help="Another trajectory begins where the time falls back.")
@click.option("--exact-start", is_flag=True, help="The first row of each trajectory holds exact initial values.")
@click.option("--knowledge", type=_PATH, help="YAML file of what is known about the coefficients.")
@click.option(
    "--method",
    type=_Method(),
    default="collocation",
    show_default=True,
    help="How equations are found; odenet is that of Hu et al. 2021.",
)
@click.option("--out", type=_PATH, default=Path("discovery"), show_default=True, help="Folder.")
@click.option(
    "--as-model",
    type=_PATH,
    metavar="FOLDER",
    help="Write a folder for a campaign on the equations, too: SBML, Antimony, coefficients that vary.",
)
def discover(
    table: Path,
    time: str,
    trajectory: str,
    columns: str | None,
    degree: int | None,
    terms: tuple[str, ...],
    forms: tuple[str, ...],
    unknowns: tuple[str, ...],
    hidden: tuple[str, ...],
    inputs: str | None,
    constants: str | None,
    group: str | None,
    varies: tuple[str, ...],
    noise: tuple[str, ...],
    time_limit: float | None,
    split_at_restart: bool,
    exact_start: bool,
    knowledge: Path | None,
    method: str,
    out: Path,
    as_model: Path | None,
) -> None:
    """Find sparse differential equations for a table of time series.

    \b
    Examples:
      mechscreen discover data.csv --time t --degree 2 --out discovered
      mechscreen discover growth.csv --group strain --varies "x: x"
      mechscreen discover data.csv --as-model ponds
    """
    from mechscreen.stages.discover import discover as discover_equations

    if as_model is not None:
        from mechscreen.runs import equations

        equations.check(as_model, table)
    model = discover_equations(
        table,
        out,
        time=time,
        trajectory=trajectory,
        columns=_names(columns),
        degree=degree or (3 if "auto" in forms else 2),
        functions=terms,
        unknowns=dict(map(_unknown, unknowns)),
        hidden=hidden,
        inputs=_names(inputs),
        constants=_names(constants),
        group=group,
        varies=varies or None,
        forms=forms,
        noise=noise,
        time_limit=None if time_limit is None else 60 * time_limit,
        split_at_restart=split_at_restart,
        exact_start=exact_start,
        knowledge=knowledge,
        method=method,
    )
    click.echo(model.summary())
    if as_model is not None:
        click.echo(equations.init_on_equations(as_model, table, model))


@cli.command()
@click.argument("folder", type=_PATH)
@click.option(
    "--model",
    type=_PATH,
    help="SBML, Antimony, a COMBINE archive, or BioNetGen's .net or .bngl, which the campaign is about.",
)
@click.option("--petab", type=_PATH, help="YAML of a PEtab problem, which the campaign is about.")
@click.option(
    "--profile", help="The kind of cluster: slurm, slurm-gpu-types, … (docs/howto/cluster.md). Asks for what it needs."
)
@click.option("--account", help="Of SLURM, for the profile.")
@click.option("--partition", help="Of SLURM, for the profile.")
def init(
    folder: Path,
    model: Path | None,
    petab: Path | None,
    profile: str | None,
    account: str | None,
    partition: str | None,
) -> None:
    """Write a folder for a campaign: its configuration, profiles, and a Snakefile that uses this workflow.

    What is there already is never overwritten.

    \b
    Examples:
      mechscreen init rings
      mechscreen init rings --profile slurm --account lab --partition standard
      mechscreen init oscillator --model repressilator.xml
      mechscreen init fit --petab problem.yaml
    """
    from mechscreen.runs.init import Site, blanks
    from mechscreen.runs.init import init as write_folder

    if model is not None and petab is not None:
        raise click.UsageError("give --model or --petab; a campaign is about one of them")
    given = {"account": account, "partition": partition}
    if profile is not None and sys.stdin.isatty():
        for what, usual in blanks(profile).items():
            if given[what] is None:
                given[what] = click.prompt(f"{what} of SLURM (empty for none)", default=usual)
    site = Site(profile or "slurm", given["account"] or "", given["partition"] or "")
    click.echo(write_folder(folder, model, petab, site))


@cli.command()
@click.argument("campaign", type=_PATH, required=False)
@click.option(
    "--profile",
    type=_PATH,
    default=Path("cluster_profiles/local"),
    show_default=True,
    help="Folder of the workflow profile; for SLURM, two short jobs are submitted by it.",
)
@click.option(
    "--results",
    type=_PATH,
    default=Path("results"),
    show_default=True,
    help="Folder that will hold the folders of results.",
)
@click.option(
    "--write-partitions",
    type=_PATH,
    metavar="FILE",
    help="Write the partitions that you can use, for slurm-partition-config of a profile, and do nothing else.",
)
def doctor(campaign: Path | None, profile: Path, results: Path, write_partitions: Path | None) -> None:
    """Check a machine or a cluster before a campaign, and say what to change (exit code 1 if anything is wrong).

    On SLURM, sbatch is asked whether it would take the jobs of each rule, with all that they ask for, and two short
    jobs are run with it. Without CAMPAIGN, the jobs are those of the example that comes with mechscreen.

    \b
    Example:
      mechscreen doctor campaign.yaml --profile cluster_profiles/slurm
    """
    if write_partitions is not None:
        from mechscreen.runs.partitions import write_partitions as write

        for place in write(write_partitions):
            click.echo(place)
        return
    from mechscreen.runs.doctor import examine

    if not examine(profile, results, click.echo, campaign):
        sys.exit(EXIT_WRONG)


@cli.command()
@click.argument("config", type=_PATH)
def plan(config: Path) -> None:
    """Tell what a campaign will take, from speeds measured on this machine (about half a minute).

    \b
    Example:
      mechscreen plan config/paper.yaml
    """
    from mechscreen.runs.plan import plan as make_plan

    campaign = Campaign.load(config)
    _use_threads(1)
    click.echo(make_plan(campaign))


@cli.command("check-model")
@click.argument("config", type=_PATH)
@click.option(
    "--sets", type=click.IntRange(min=2, max=100_000), default=20, show_default=True, help="Parameter sets to simulate."
)
def check_model(config: Path, sets: int) -> None:
    """Simulate some parameter sets of a campaign and tell what its model is and does; writes nothing.

    \b
    Example:
      mechscreen check-model config/demo.yaml --sets 200
    """
    from mechscreen.runs.check_model import check_model as look_at

    campaign = Campaign.load(config)
    _use_threads(1)
    click.echo(look_at(campaign, sets))


@cli.command()
@click.argument("results", type=_PATH)
def status(results: Path) -> None:
    """Tell how far a campaign is: what is done, runs, has stopped, and is left.

    \b
    Example:
      mechscreen status results/demo
    """
    from mechscreen.runs.status import status as tell_status

    click.echo(tell_status(results))


@cli.command()
@click.argument("results", type=_PATH)
def recover(results: Path) -> None:
    """After Snakemake was killed: end its leftover jobs, unlock the folder, say what remains.

    \b
    Example:
      mechscreen recover results/demo
    """
    from mechscreen.runs.recover import recover as recover_run

    recover_run(results, click.echo)


@cli.command()
@click.argument("results", type=_PATH)
@click.option(
    "--remove", metavar="WHAT", multiple=True, help="Remove this part, as named in the table; may be repeated."
)
def clean(results: Path, remove: tuple[str, ...]) -> None:
    """Tell what of a campaign takes how much room, what of it may go, and what is lost by that; remove it on request.

    \b
    Examples:
      mechscreen clean results/demo
      mechscreen clean results/demo --remove blocks --remove leftovers
    """
    from mechscreen.runs.clean import clean as clean_results

    click.echo(clean_results(results, remove))


@cli.command()
@click.argument("results", type=_PATH)
@click.option("--snakefile", type=_PATH, help="That the campaign is run with; the one in this folder unless given.")
def migrate(results: Path, snakefile: Path | None) -> None:
    """Convert results of before 0.1.0 (format 1) to the format of today; call it where you call Snakemake.

    \b
    Example:
      mechscreen migrate results/demo
    """
    from mechscreen.runs.migrate import migrate as migrate_results

    migrate_results(results, click.echo, snakefile)


@cli.command()
@click.argument("config", type=_PATH)
def check(config: Path) -> None:
    """Check a campaign's configuration and print it with all defaults.

    \b
    Example:
      mechscreen check config/demo.yaml
    """
    click.echo(Campaign.load(config).to_yaml(), nl=False)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of campaign configurations.

    \b
    Example:
      mechscreen schema > workflow/schemas/campaign.schema.json
    """
    click.echo(json_schema(), nl=False)


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 out of memory, 2 wrong, 74 storage failed, 75 stopped and to be continued.
    """
    # What all ranks have to tell, one tells.
    level = logging.INFO if _rank() == 0 else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    be_quiet()
    try:
        cli()
    except (MechscreenError, OSError, MemoryError) as error:
        told = as_told(error)
        if told is None:
            raise
        _end(told)
    except ModuleNotFoundError as error:
        advice = what_to_install(error)
        if advice is None:
            raise
        _end(InputError(advice))
    except Interrupted as stopped:
        if _rank() == 0:
            print(f"mechscreen: {stopped}", file=sys.stderr, flush=True)
        sys.exit(EXIT_UNFINISHED)


def _end(error: MechscreenError) -> NoReturn:
    # All ranks meet the same wrong input, and one on each node says it; a disk or memory may fail for one of them.
    first = _from_launcher("MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID") == 0
    if first or isinstance(error, StorageError | OutOfMemoryError):
        text = "\n".join(map(printable, str(error).split("\n")))
        print(f"mechscreen: {text}", file=sys.stderr, flush=True)
    sys.exit(error.exit_code)


def _rank() -> int:
    return _from_launcher("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")


def _from_launcher(*names: str) -> int:
    """Return the number that MPI launchers pass in the first of these environment variables that is set, else 0."""
    return next((int(os.environ[name]) for name in names if name in os.environ), 0)

from mechscreen.campaign import Campaign
from snakemake.utils import min_version

min_version("9.20")


include: "workflow/rules/common.smk"


# Everything a campaign fixes; a wrong key ends here, before any job.
campaign = load(Campaign, config, "config/demo.yaml")
campaign = in_rounds(campaign)
paths = results_of(campaign)
# The jobs of each rule of the table of stages: what they read, their ranks, memory and time, by the campaign's size
# and by what jobs took that were done.
RATIOS = ratios()
FORECAST = {
    step.rule.name: step
    for step in forecast(campaign, ratios=RATIOS, tasks=set_tasks())
}
# Where the first round's files stand; those of a later one below a folder, which the wildcard `round` names.
FIRST = campaign.of_round(1).paths
ROUNDS = r"(round-\d+/)?"
OF_ROUND = "--round '{wildcards.round}' " if campaign.own_rounds > 1 else ""
see_folders([step.rule for step in FORECAST.values()])
if workflow.is_main_process:
    see_resources()
    print(one_line(campaign.name, FORECAST.values()), file=sys.stderr)


if campaign.selection:

    include: "workflow/rules/select.smk"


# Where the screen is by the model itself, there is nothing to learn and nothing that learns.
if not campaign.by_model:

    include: "workflow/rules/simulate.smk"
    include: "workflow/rules/merge.smk"
    include: "workflow/rules/train.smk"
    include: "workflow/rules/evaluate.smk"


include: "workflow/rules/screen.smk"
include: "workflow/rules/validate.smk"
include: "workflow/rules/report.smk"


if campaign.calibration.count:

    include: "workflow/rules/calibrate.smk"


if campaign.searches:

    include: "workflow/rules/polish.smk"


if campaign.drawn:

    include: "workflow/rules/infer.smk"


if campaign.learning.sizes:

    include: "workflow/rules/learn.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,
    simulations,
    dataset,
    emulators,
    learning,
    evaluation,
    calibration,
    screen,
    validation,
    polished,
    posterior,
    figures,


rule all:
    default_target: True
    input:
        made_by("write_report"),


# A part of the campaign by the name of its folder: `snakemake emulators --workflow-profile … --configfile …`.
rule simulations:
    input:
        seen_and_made_by("simulate_shard"),


rule dataset:
    input:
        made_by("merge_shards"),


rule emulators:
    input:
        made_by("train_ensemble" if campaign.emulators.together else "train_member"),


# Not a part of `all`: a study of its own.
rule learning:
    input:
        study_of_sizes,


rule evaluation:
    input:
        made_by("evaluate_ensemble"),


rule calibration:
    input:
        probabilities,


rule screen:
    input:
        made_by("gather_screen"),


rule validation:
    input:
        made_by("validate_hits"),


rule polished:
    input:
        of_measured_data("polish_sets"),


rule posterior:
    input:
        of_measured_data("infer_posterior"),


rule figures:
    input:
        made_by("draw_figure"),


onstart:
    begin_run(log)


onsuccess:
    print_summary(paths)


onerror:
    print_failures(paths.root)

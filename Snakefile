from mechscreen.campaign import Campaign
from snakemake.utils import min_version

min_version("9.5")


include: "workflow/rules/common.smk"


# Everything a campaign fixes; a wrong key ends here, before any job.
campaign = load(Campaign, config, "config/demo.yaml")
paths = results_of(campaign)
# Ranks, memory and time of the jobs of each rule, from the campaign's size.
FORECAST = {step.rule.name: step for step in forecast(campaign)}
if workflow.is_main_process:
    print(one_line(campaign.name, FORECAST.values()), file=sys.stderr)


if campaign.selection:

    include: "workflow/rules/select.smk"


include: "workflow/rules/simulate.smk"
include: "workflow/rules/merge.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/learn.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/screen.smk"
include: "workflow/rules/validate.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,
    simulations,
    dataset,
    emulators,
    learning,
    evaluation,
    screen,
    validation,
    figures,


rule all:
    default_target: True
    input:
        report=paths.report,


# A part of the campaign by the name of its folder: `snakemake emulators --workflow-profile … --configfile …`.
rule simulations:
    input:
        shards=SHARDS,


rule dataset:
    input:
        manifest=paths.manifest,


rule emulators:
    input:
        models=MODELS,


# Not a part of `all`: a study of its own.
rule learning:
    input:
        summary=paths.learning_summary,


rule evaluation:
    input:
        metrics=paths.metrics,


rule screen:
    input:
        hits=paths.screen_hits,


rule validation:
    input:
        hits=paths.validation_hits,


rule figures:
    input:
        figures=PICTURES,


onstart:
    # One run at a time drives a campaign; the lock ends with this process.
    HELD.append(begin_run(log))
    # Jobs read this resolved copy, so that `--config` overrides reach them too.
    campaign.record()


onsuccess:
    print_summary(paths)


onerror:
    print_failures(campaign)

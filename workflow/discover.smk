# A study of discovery: known systems × noise × steps × seeds × methods → tables and figures. It needs no campaign.
from mechscreen.study import Study
from snakemake.utils import min_version

min_version("9.5")


include: "rules/common.smk"


# Everything the study fixes; a wrong key ends here, before any job.
study = load(Study, config, "config/studies/discovery.yaml")
paths = study


include: "rules/discover.smk"


localrules:
    discovery,


rule discovery:
    default_target: True
    input:
        tables=TABLES,
        figures=FIGURES,


onstart:
    # Jobs read this resolved copy, so that `--config` overrides reach them too.
    write_resolved(study.root / "study.yaml", study)

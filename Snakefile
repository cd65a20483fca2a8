"""MutDet from images to report. `snakemake --cores all` runs config/config.yaml; --configfile names another."""

import gc
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, validate

sys.path.insert(0, str(workflow.basedir))

from mutdet.settings.config import parse_config
from mutdet.settings.environment import hand_down
from mutdet.settings.errors import UserError
from mutdet.settings.layout import PICTURES, Layout
from mutdet.tables.damage import report_damaged, set_damaged_aside

min_version("9.0")

# A plan of thousands of jobs is millions of objects that stay, through which the garbage collector would look again and again, an eighth of the time of a run with nothing to do.
gc.set_threshold(100_000, 50, 1000)

# A config file that is named on the command line stands alone: its sections are not mixed with the default's.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


try:
    LAYOUT = Layout(parse_config(config))
    LAYOUT.stage_outputs()
    # Told here in one line; out of a rule's input function Snakemake would print a traceback.
    if workflow.is_main_process:
        for _dataset in LAYOUT.config.datasets:
            LAYOUT.sources(_dataset)
        if workflow.output_settings.dryrun:
            report_damaged(LAYOUT.root)
        else:
            set_damaged_aside(LAYOUT.root)
except UserError as error:
    raise WorkflowError(str(error)) from None
hand_down(LAYOUT.config.runtime, new_run=workflow.is_main_process)
validate(config, "workflow/schemas/config.schema.json", set_default=False)


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/proposals.smk"
include: "workflow/rules/embedding.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/results.smk"


# Snakemake limits itself to 100 starts of jobs a second, which no run reaches; for that it looks through all ready jobs and their files once a second at first, and with every job that ends once more in each second.
# A limit that somebody names (--max-jobs-per-timespan) stays.
onstart:
    _limit = workflow.scheduling_settings.max_jobs_per_timespan
    if _limit is not None and (_limit.max_jobs, _limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


localrules:
    all,
    stages,
    tables,


# Seconds each, less than the submission of a job; and `backbone` may have to reach the internet.
if os.environ.get("MUTDET_SUBMIT_ALL") != "1":

    localrules:
        backbone,
        tables_fill,
        report_page,


rule all:
    default_target: True
    input:
        LAYOUT.report(),
        LAYOUT.stage_outputs(),


# The tables of experiments, and what they are made from.
rule tables:
    input:
        LAYOUT.tables(),


rule stages:
    input:
        LAYOUT.stage_outputs(),

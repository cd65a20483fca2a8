"""A folder with the workflow, small images and a tiny config, to run Snakemake in."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file
from torchvision.models import resnet18

REPOSITORY = Path(__file__).parents[2]
PARTS = ["mutdet", "workflow", "profiles", "envs", "Snakefile"]
TINY = REPOSITORY / "tests" / "workflow" / "tiny.yaml"
LEARNED = {
    "method": "selfemd",
    "architecture": "resnet18",
    "crop_size": 32,
    "third_view": 0,
    "blur_kernel": 5,
    "projection_hidden": 16,
    "projection_width": 8,
    "iterations": 2,
    "batch": 2,
    "threads": 1,
}
"""A backbone variant for the tiny config that is trained, in two steps."""


class Project:
    """A folder with the workflow, a config file and images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the copy of the package that lies in the folder."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PATH": path, "XDG_CACHE_HOME": str(self.folder / ".cache")}
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nocolor", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, text=True, capture_output=True, check=False)
        if check and done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        return done

    def planned(self, *arguments: str) -> Counter[str]:
        """Jobs that a dry run announces, by rule, the targets left out."""
        done = self.snakemake("-n", *arguments)
        text = done.stdout + done.stderr
        if "Nothing to be done" in text:
            return Counter()
        table = text.split("Job stats:", 1)[1]
        jobs = Counter({name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)\s*$", table, re.MULTILINE)})
        return Counter({name: count for name, count in jobs.items() if name not in ("all", "stages", "tables", "total")})

    def copy(self, folder: Path) -> "Project":
        """The same at another place, time stamps kept, without what a stopped training would resume from."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("state"))
        return Project(folder)

    def configure(self, change) -> None:
        """Apply a function to the config and write it back."""
        path = self.folder / "config" / "config.yaml"
        config = yaml.safe_load(path.read_text())
        change(config)
        path.write_text(yaml.safe_dump(config, sort_keys=False))


def new_project(folder: Path) -> Project:
    """A project without results: package, workflow, tiny config, weights of a backbone, seven drawn images with labels."""
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", "weights"))
        else:
            shutil.copy2(source, folder / part)
    (folder / "config").mkdir()
    shutil.copy2(TINY, folder / "config" / "config.yaml")
    torch.manual_seed(0)
    draw = [sys.executable, "-m", "mutdet", "scenes", "--output", "data", "--train", "5", "--val", "2", "--size", "128"]
    subprocess.run(draw, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, check=True, capture_output=True)
    save_file({name: tensor for name, tensor in resnet18().state_dict().items() if not name.startswith("fc.")}, folder / "data" / "backbone.safetensors")
    return Project(folder)


def stand_in(folder: Path, name: str, dataset: dict) -> None:
    """Empty files of the names that a data set would have, five images in each split: a dry run opens none."""
    suffix = {"dota": "txt", "dior_r": "xml"}[dataset.get("format", "dota")]
    places = [(dataset["images"], "png"), *([(dataset["labels"], suffix)] if "labels" in dataset else [])]
    for split, members in dataset["splits"].items():
        ids = [f"{name}_{split}{number}" for number in range(5)]
        for place, kind in places:
            (folder / place).mkdir(parents=True, exist_ok=True)
            for image in ids:
                (folder / place / f"{image}.{kind}").touch()
        if members != "all":
            (folder / members).write_text("\n".join(ids) + "\n")

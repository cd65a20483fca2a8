"""Runs stages in children forked from a process that has imported everything, so that killing fifty of them takes seconds.

Reads a JSON request a line and answers with one: {"run": [flags], "folder", "log", "environment", "stop", "host"} with the child's number,
{"wait": number} with its exit code, "killed", or "stopped". `stop` names a point at which the child stops itself: ["written", 2] before
the second file's bytes are synced, ["synced", 2] after that, ["moving", 1] before the first gets its name, under the lock, ["named", 1]
right after. `host` lets it believe that it runs on another host.
"""

import json
import os
import signal
import sys
from importlib import import_module
from itertools import count

from mutdet import cli
from mutdet.settings import registries
from mutdet.settings.stages import STAGES
from mutdet.tables import atomic, processes

FUNCTIONS = {"written": "sync_file", "synced": "sync_file", "moving": "move", "named": "move"}
AFTER = ("synced", "named")


def import_everything():
    for stage in STAGES.values():
        import_module(stage.function.partition(":")[0])
    for registry, names in (
        (registries.BACKBONE_METHODS, ["checkpoint", "selfemd"]),
        (registries.DETECTORS, ["ars_detr"]),
        (registries.LABEL_FORMATS, ["dota"]),
        (registries.MASK_GENERATORS, ["selective_search"]),
        (registries.PRETRAINING_METHODS, ["none", "mutdet"]),
    ):
        for name in names:
            registries.load(registry, name)


def stop_at(point, number):
    """Let this process stop itself at the n-th of such points."""
    original, calls = getattr(atomic, FUNCTIONS[point]), count(1)

    def stopping(*arguments):
        here = next(calls) == number
        if here and point not in AFTER:
            os.kill(os.getpid(), signal.SIGSTOP)
        original(*arguments)
        if here and point in AFTER:
            os.kill(os.getpid(), signal.SIGSTOP)

    setattr(atomic, FUNCTIONS[point], stopping)


def note_moves():
    """Tell in the log of every file that gets its name."""
    original = atomic.move

    def noting(temporary, path):
        original(temporary, path)
        print("named", path, file=sys.stderr, flush=True)

    atomic.move = noting


def run(request):
    """The child's life."""
    os.chdir(request["folder"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(request["environment"])
    note_moves()
    if request["stop"]:
        stop_at(*request["stop"])
    if request["host"]:
        processes._host = lambda: (request["host"], "")
    code = 2
    try:
        code = cli.main(request["run"])
    except SystemExit as error:
        code = error.code
    finally:
        os._exit(code)


def answer(request):
    if "run" in request:
        child = os.fork()
        if not child:
            run(request)
        return child
    _, status = os.waitpid(request["wait"], os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return "stopped"
    return "killed" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    import_everything()
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=replies, flush=True)

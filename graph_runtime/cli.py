"""The command line: arguments only. Here long-lived things are made and handed down; the rest is done elsewhere.

Exit codes: 0 done, 1 the run failed or something was found wrong, 2 what was given cannot be used, 130 cancelled.
"""

from __future__ import annotations

import argparse
import json
import sys
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from graph_runtime import oneshot, terminal
from graph_runtime.doctor import examine
from graph_runtime.packs import builtin_hook
from graph_runtime.problem import Problem, Refused
from graph_runtime.settings import Settings, read_settings
from graph_runtime.worker import program_version, read_defs, read_problems
from graph_runtime.workers import WorkerHandle
from graph_runtime.workers.process import ProcessWorker

DONE, FAILED, UNUSABLE, CANCELLED = 0, 1, 2, 130
ENDINGS = {"succeeded": DONE, "failed": FAILED, "cancelled": CANCELLED}
FLAGS = ("data_dir", "device", "dtype", "gpu_memory", "host_memory", "threads")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for; the exit code."""
    asked = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace, Settings], int] = asked.command
    try:
        return command(asked, settings_of(asked))
    except Refused as refused:
        if getattr(asked, "json", False):
            answer = {"status": "refused", "files": [], "steps": []}
            show_json({**answer, "problems": [problem.as_json() for problem in refused.problems]})
        terminal.say_problems(refused.problems)
        return UNUSABLE
    except KeyboardInterrupt:
        return CANCELLED
    except BrokenPipeError:  # whoever read the output has seen enough
        sys.stderr.close()
        return DONE


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    settings = common.add_argument_group("settings", "also as LATENTLOOM_… in the environment and in the settings file")
    settings.add_argument("--config", type=Path, metavar="FILE", help="settings file to read (TOML)")
    for name in FLAGS:
        field = Settings.model_fields[name]
        spellings = ["--data-dir", "--data"] if name == "data_dir" else ["--" + name.replace("_", "-")]
        settings.add_argument(*spellings, metavar=name.upper(), help=(field.description or "").replace("%", "%%"))
    common.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    top = argparse.ArgumentParser("latentloom", description="Run node graphs of flow-matching image models.")
    top.add_argument("--version", action="version", version=f"latentloom {program_version()}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace, Settings], int], help: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=help, description=help, parents=[common], allow_abbrev=False)
        one.set_defaults(command=command)
        return one

    run = add("run", run_workflow, "Run a workflow; without a file the one that comes with the program.")
    run.add_argument("workflow", nargs="?", type=Path, metavar="WORKFLOW", help="JSON, or a picture saved with one")
    run.add_argument("--set", action="append", default=[], metavar="STEP.KNOB=VALUE", help="change a knob; repeatable")
    run.add_argument("--prompt", metavar="TEXT", help="change the first prompt in it")
    run.add_argument("--seed", type=int, metavar="N", help="change every seed in it")
    run.add_argument("--out", type=Path, metavar="DIR", help="write finished files there")
    run.add_argument("--server", metavar="URL", help="let a server run it; files are brought to --out if given")
    run.add_argument("--token", metavar="TOKEN", help="of that server; read from the data folder if not given")
    serve = add("serve", run_server, "Start the server: a queue, and an editor in the browser.")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on")
    serve.add_argument("--port", type=int, default=8188, metavar="N", help="port to listen on; 0 takes a free one")
    serve.add_argument("--name", action="append", default=[], metavar="NAME", help="a further name of this server")
    serve.add_argument("--no-open", action="store_true", help="do not open a browser")
    serve.add_argument("--trust-loopback", action="store_true", help="ask callers on this machine for no token")
    serve.add_argument("--insecure-lan", action="store_true", help="listen beyond this machine without TLS")
    serve.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate, PEM")
    serve.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, PEM, if it is in another file")
    serve.add_argument("--log-json", action="store_true", help="write the log as JSON, one object on each line")
    open_ = add("open", open_editor, "Open the editor of a server that runs on this machine.")
    open_.add_argument("--server", default="http://127.0.0.1:8188", metavar="URL")
    plan = add("plan", plan_workflow, "Tell what a workflow would have in memory, step by step; nothing is run.")
    plan.add_argument("workflow", nargs="?", type=Path, metavar="WORKFLOW", help="JSON, or a picture saved with one")
    plan.add_argument("--set", action="append", default=[], metavar="STEP.KNOB=VALUE", help="change a knob; repeatable")
    add("nodes", list_nodes, "List every node there is.")
    inspect = add("inspect", inspect_checkpoint, "Tell what a checkpoint is, from its headers.")
    inspect.add_argument("path", type=Path, metavar="FILE_OR_FOLDER")
    add("doctor", run_doctor, "Look whether everything is there that is needed.")
    bench = add("bench", run_bench, "Measure a part of the program.")
    bench.add_argument("part", choices=["executor"], help="executor: what it costs for each step of a graph")
    bench.add_argument("--steps", type=int, action="append", metavar="N", help="size of the graphs; repeatable")
    return top


def settings_of(asked: argparse.Namespace) -> Settings:
    flags: dict[str, Any] = {name: getattr(asked, name) for name in FLAGS}
    if asked.command in (run_workflow, plan_workflow):
        # Who types a command may name any file; a relative one is meant from where they are.
        flags |= {"allow_absolute_paths": True, "output_dir": getattr(asked, "out", None)}
    return read_settings(flags, asked.config)


def run_workflow(asked: argparse.Namespace, settings: Settings) -> int:
    """`latentloom run`: the paths of the files it wrote, one on each line."""
    from graph_runtime.watch import Watch  # its library takes long, and no other command needs it

    changes = oneshot.Changes(tuple(map(pair, asked.set)), asked.prompt, asked.seed)
    path = asked.workflow or oneshot.starter(settings)
    source = oneshot.read_source(path, settings)
    worker: WorkerHandle = ProcessWorker(settings) if not asked.server else server_worker(asked, settings)
    try:
        hello = worker.hello()
        try:
            prepared = oneshot.prepare(source, read_defs(hello), changes, str(path))
        except Refused:
            terminal.say_problems(read_problems(hello))  # a node may be unknown because its pack failed
            raise
        terminal.say_problems(prepared.problems)
        titles = {id: step.title or id for id, step in prepared.document.steps.items()}
        pressed: list[bool] = []

        def interrupted() -> bool:
            terminal.say("Stopping now." if pressed else "Stopping; press Ctrl-C again to end it at once.")
            pressed.append(True)
            return len(pressed) > 1

        with Watch(titles, quiet=asked.json) as watch:
            report = oneshot.run(worker, prepared, watch, interrupted)
    finally:
        worker.close()
    if asked.json:
        show_json(report.as_json())
    else:
        for wrote in report.files:
            for file in wrote.paths:
                terminal.out(file)
    terminal.say_problems(report.problems)
    return ENDINGS[report.status]


def plan_workflow(asked: argparse.Namespace, settings: Settings) -> int:
    """`latentloom plan`: a table of the steps that use models."""
    path = asked.workflow or oneshot.starter(settings)
    source = oneshot.read_source(path, settings)
    worker = ProcessWorker(settings)
    try:
        changes = oneshot.Changes(tuple(map(pair, asked.set)))
        prepared = oneshot.prepare(source, read_defs(worker.hello()), changes, str(path))
        told = worker.ask("plan", {"graph": prepared.graph.to_json()}, 120.0)
    finally:
        worker.close()
    if asked.json:
        show_json(told)
    else:
        titles = {id: step.title or id for id, step in prepared.document.steps.items()}
        terminal.show_plan(told, titles)
    return DONE


def server_worker(asked: argparse.Namespace, settings: Settings) -> WorkerHandle:
    from graph_runtime.client import Client, ServerWorker  # its libraries take a moment, and only servers need them

    return ServerWorker(Client(asked.server, asked.token or token_of(settings), patience=30.0), asked.out)


def token_of(settings: Settings) -> str:
    """The token in the data folder; "" if no server has ever been there."""
    path = settings.data_dir / "token"
    return path.read_text("ascii").strip() if path.is_file() else ""


def run_server(asked: argparse.Namespace, settings: Settings) -> int:
    """`latentloom serve`: until it is told to end."""
    from graph_runtime.server.logs import make_log
    from graph_runtime.server.options import ServerOptions
    from graph_runtime.server.serve import serve

    options = ServerOptions(
        host=asked.host,
        port=asked.port,
        names=tuple(asked.name),
        trust_loopback=asked.trust_loopback,
        insecure_lan=asked.insecure_lan,
        tls_cert=asked.tls_cert,
        tls_key=asked.tls_key,
        open_browser=not asked.no_open,
    )
    serve(settings, options, make_log(as_json=asked.log_json))
    return DONE


def open_editor(asked: argparse.Namespace, settings: Settings) -> int:
    """`latentloom open`: a ticket for the browser."""
    from graph_runtime.client import Client

    url = Client(asked.server, token_of(settings)).ask("POST", "/api/tickets", {})["url"]
    terminal.out(url)
    webbrowser.open(url)
    return DONE


def list_nodes(asked: argparse.Namespace, settings: Settings) -> int:
    worker = ProcessWorker(settings)
    try:
        hello = worker.hello()
    finally:
        worker.close()
    if asked.json:
        show_json({name: hello[name] for name in ("packs", "nodes", "sockets")})
    else:
        terminal.show_nodes(hello)
    terminal.say_problems(read_problems(hello))
    return DONE


def inspect_checkpoint(asked: argparse.Namespace, settings: Settings) -> int:
    look = builtin_hook(settings, "inspect")
    if look is None:
        raise Refused(Problem("no-inspect", str(asked.path), "no pack here knows checkpoints.", "Set packs to nodes."))
    if not asked.path.exists():
        raise Refused(Problem("no-file", str(asked.path), "there is no such file or folder.", "Correct the path."))
    facts = look(asked.path)
    if asked.json:
        show_json(facts)
    else:
        terminal.show_checkpoint(facts)
    return DONE


def run_doctor(asked: argparse.Namespace, settings: Settings) -> int:
    worker = ProcessWorker(settings)
    try:
        findings = examine(settings, worker)
    finally:
        worker.close()
    if asked.json:
        show_json({"findings": [one.as_json() for one in findings]})
    else:
        terminal.show_findings(findings)
    return FAILED if any(one.state == "failed" for one in findings) else DONE


def run_bench(asked: argparse.Namespace, settings: Settings) -> int:
    from graph_runtime import bench  # it describes nodes of its own, which nothing else should see

    rows = bench.bench_executor(tuple(asked.steps or bench.SIZES))
    if asked.json:
        show_json(rows)
    else:
        terminal.show_table(rows)
    return DONE


def pair(text: str) -> tuple[str, str]:
    """ "step.knob=value" as its two sides."""
    place, equals, value = text.partition("=")
    if not equals or "." not in place:
        fix = "Write e.g. --set paint.steps=8."
        raise Refused(Problem("bad-set", f"--set {text}", "this is not step.knob=value.", fix))
    return place, value


def show_json(data: object) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))

"""`nas export`: hand a network over."""

from __future__ import annotations

from pathlib import Path

import click

from nas.blocks.registry import load_blocks
from nas.cli.architectures import find_architecture
from nas.cli.options import Settings, common, format_option
from nas.cli.output import note, print_record
from nas.work.handover import export_network


@click.command
@click.argument("arch")
@click.option("-o", "--output", metavar="DIR", type=click.Path(path_type=Path), required=True, help="The folder.")
@click.option("--onnx", is_flag=True, help="Write model.onnx too; needs the extra nas[onnx].")
@format_option
@common
@click.pass_obj
def export(settings: Settings, arch: str, output: Path, onnx: bool, form: str) -> None:
    """Write a network as model.py (torch only), weights.safetensors if kept, architecture.json and metrics.json.

    ARCH: a fingerprint or its beginning, STUDY#TRIAL, a JSON file, or a reference's name. The folder may hold an
    earlier export.
    """
    blocks = load_blocks(settings.plugins)
    found = find_architecture(arch, settings, blocks)
    exported = export_network(found.architecture, found.trial, output, storage=found.storage, blocks=blocks, onnx=onnx)
    files = [str(file) for file in exported.files]
    print_record(form, {"files": files, "problem": exported.problem}, "\n".join(files))
    if found.trial is not None and not any(file.suffix == ".safetensors" for file in exported.files):
        note("no weights: those of this trial were not kept; `[search] keep` says how many of the best are")
    if exported.problem:
        note(exported.problem)
    note("checked: read back, the network gives the same scores")

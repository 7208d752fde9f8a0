"""What `pgrouter import` prints: what was recognised, taught, or would be taught."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from ..entities import Tenant
from .common import note
from .table import aligned

if TYPE_CHECKING:
    # Imported late, as they import most of the proxy.
    from ..operations.example_file import ExampleFile
    from ..operations.import_examples import Contents, Summary


def note_recognised(file: ExampleFile) -> None:
    """Print the format, how labels were made, and what was not read."""
    if file.format is not None and file.format.merged:
        note(f"Format {file.format.name}: {file.format.shape}.")
        note(f"Labels: {file.format.labels}. Several scores of a model for one prompt are averaged.")
    if file.unread:
        note(f"Ignored columns: {', '.join(file.unread)}.")
    for reason, count in file.left_out.most_common():
        note(f"{count} records without a label: {reason}.")
    for name, count in sorted(file.skipped.items()):
        note(f"{count} labels of the unknown model {name!r} were left out.")


def dry_run_of(file: ExampleFile, contents: Contents, summary: Summary, tenant: Tenant) -> dict[str, Any]:
    """Return what a checked file would teach."""
    return {
        "dry_run": True,
        "format": file.format and file.format.name,
        "recognised": file.format and file.format.shape,
        "labels_from": file.format and file.format.labels,
        "examples": contents.examples,
        "prompts": contents.memories,
        "copies": contents.examples - contents.memories,
        "trimmed": contents.before(tenant.memory_cap) if contents.examples else 0,
        "labels": {
            model: {"labels": count, "mean": round(total / count, 4)}
            for model, (count, total) in sorted(summary.scores.items())
        },
        "tasks": {task or "": count for task, count in summary.tasks.most_common()},
        "left_out": dict(file.left_out.most_common()),
        "skipped_labels": dict(sorted(file.skipped.items())),
        "ignored_columns": list(file.unread),
        "failed": summary.failed,
        "errors": [error.message for error in summary.errors],
    }


def show_dry_run(found: Mapping[str, Any]) -> None:
    """Print the result of a dry run."""
    typer.echo(f"Format {found['format']}: {found['recognised']}.")
    typer.echo(f"Labels: {found['labels_from']}.")
    typer.echo(
        f"{found['examples']} examples of {found['prompts']} prompts would be taught to {found['tenant']}; "
        f"{found['copies']} copies of a prompt overwrite earlier ones."
    )
    if found["trimmed"]:
        typer.echo(f"More than {found['tenant']} keeps: the first {found['trimmed']} need --trim or a larger cap.")
    if found["labels"]:
        rows = [[model, str(each["labels"]), f"{each['mean']:.3f}"] for model, each in found["labels"].items()]
        for line in aligned([["model", "labels", "mean"], *rows], left=[0]):
            typer.echo(line)
    tasks = {task: count for task, count in found["tasks"].items() if task}
    if tasks:
        typer.echo(f"Tasks: {', '.join(f'{task} ({count})' for task, count in tasks.items())}.")
    for reason, count in found["left_out"].items():
        typer.echo(f"{count} records without a label: {reason}.")
    for name, count in found["skipped_labels"].items():
        typer.echo(f"{count} labels of the unknown model {name!r} would be left out.")
    if found["ignored_columns"]:
        typer.echo(f"Ignored columns: {', '.join(found['ignored_columns'])}.")
    for message in found["errors"]:
        note(message)
    if found["failed"]:
        errors = "1 error" if found["failed"] == 1 else f"{found['failed']} errors"
        note(f"{errors}: the file would be refused. Nothing was written.")
    else:
        typer.echo("No errors. Nothing was written.")


def show_taught(found: Mapping[str, Any]) -> None:
    """Print the result of an import."""
    copies = (
        f" {found['copies']} were copies of a prompt of the file, the last of which counts." if found["copies"] else ""
    )
    evicted = f" {found['evicted']} older ones were evicted." if found["evicted"] else ""
    typer.echo(
        f"Taught {found['examples']} examples, {found['created']} of them new; "
        f"{found['tenant']} has {found['memories']} memories.{copies}{evicted}"
    )

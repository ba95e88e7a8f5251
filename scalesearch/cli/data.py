"""The command of the images that are kept packed."""

from typing import Annotated

import typer

from scalesearch.cli.base import AsJson, Cache, app, print_json
from scalesearch.terminal import say


@app.command("data", epilog="Example: scalesearch data --remove photos-64px-0123456789ab")
def data_command(
    cache: Cache = None,
    remove: Annotated[
        list[str] | None, typer.Option(help="A pack to remove; may be given again. Or all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the images that are kept packed, or remove some; they are packed again when needed."""
    from scalesearch.data.cached import cached_packs, remove_pack
    from scalesearch.data.packs import pack_cache

    names = remove or []
    if names == ["all"]:
        names = [pack.name for pack in cached_packs(cache)]
    packs = [remove_pack(name, cache) for name in names] if remove else cached_packs(cache)
    if as_json:
        return print_json(packs)
    from scalesearch.cli.tables import show_table
    from scalesearch.units import counted, short

    said = "removed from" if remove else "kept in"
    say(f"{counted(len(packs), 'pack')} {said} {pack_cache(cache)}")
    if not packs:
        return
    show_table(
        "",
        ["pack", "images", "px", "bytes", "state"],
        [[pack.name, pack.images, pack.side, short(pack.bytes), pack.state] for pack in packs],
    )
    for pack in packs:
        if pack.source:
            say(f"{pack.name} is of {pack.source}")

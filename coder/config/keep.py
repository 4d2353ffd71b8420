"""Write one setting into the user's own file, everything else in it, comments included, as it was."""

from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from coder.config.layers import user_layer
from coder.config.load import load_config
from coder.errors import UserError
from coder.store import private_dir, write_whole


def keep_setting(path: Path, key: str, value: str) -> None:
    """Set `key` ("screen.theme") in the configuration file at `path`, which is made where it is missing.

    Raises UserError, with the file as it was, where it is no configuration that coder understands.
    """
    layer = user_layer(path)
    try:
        document = tomlkit.parse(layer.text if layer else "")
    except TOMLKitError as error:
        raise UserError(f"{path}: {error}", "mend it by hand") from None
    *tables, name = key.split(".")
    table = document
    for each in tables:
        table = table.setdefault(each, tomlkit.table())
    table[name] = value
    load_config([layer] if layer else [])
    private_dir(path.parent)
    write_whole(path.resolve(), tomlkit.dumps(document).encode(), path.stat().st_mode & 0o777 if layer else 0o600)

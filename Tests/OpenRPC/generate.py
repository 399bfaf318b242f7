#!/usr/bin/env python3
"""Generates a Python, a TypeScript and a Rust client from an OpenRPC document, with openrpcclientgenerator.

generate.py DOCUMENT FOLDER
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

from openrpc import OpenRPC
from openrpcclientgenerator import Language, generate

from transport import RENAMED


def for_python(value: Any) -> Any:
    """The document with other names for what is a keyword of Python's, which the generator does not rename."""
    if isinstance(value, list):
        return [for_python(each) for each in value]
    if not isinstance(value, dict):
        return value
    renamed = {RENAMED.get(key, key): for_python(each) for key, each in value.items()}
    name = renamed.get("name")
    return renamed | {"name": RENAMED.get(name, name)} if isinstance(name, str) else renamed


def main() -> None:
    document, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    url = "http://localhost"
    for language in Language:
        each = for_python(copy.deepcopy(document)) if language is Language.PYTHON else document
        generate(OpenRPC.model_validate(each), language, url, out)
    # The generator knows no integers of 64 bits.
    for path in out.glob("rust/*/src/*.rs"):
        path.write_text(path.read_text().replace("i32", "i64"))


main()

"""The toolkit's version, from the only place that states it: pyproject.toml."""

import tomllib

from common.paths import ROOT

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

# The package's own types do not allow its value as the default of a parameter, which is what it is for.
from typing import Any

Undefined: Any

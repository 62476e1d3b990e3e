"""The application of Ray Serve: ``serve run service.cluster.serve:app`` (docs/how-to/cluster.md)."""

import os

from service.ray_serve.application import deployed
from service.ray_serve.proxy import IMPORT_PATH

os.environ.setdefault("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", IMPORT_PATH)
# Where this module starts Ray, its proxies inherit the variable; nodes that run already have to have it themselves.

app = deployed()
"""What the command, or `import_path` of a file, names."""

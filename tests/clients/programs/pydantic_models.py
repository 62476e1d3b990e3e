"""Read bodies with the models that datamodel-code-generator makes: `pydantic_models.py BODIES`.

BODIES is a JSON list of [component, body]; each must be read, strictly and as usual, and be written again as it was.
"""

import json
import sys
from pathlib import Path

import models

bodies = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
for component, body in bodies:
    model = getattr(models, component)
    for read in (model.model_validate(body), model.model_validate_json(json.dumps(body), strict=True)):
        # As usual "NaN" would become a number where a number is the first that fits, and be written as null.
        assert read.model_dump(mode="json", exclude_unset=True) == body, (component, body)
print(len(bodies))

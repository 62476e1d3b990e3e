"""Validate documents against the schemas of Kubernetes; runs in the environment of `kubernetes-validate`.

``python schemas.py VERSION…`` reads a JSON array of documents from standard input, and writes two arrays: the failures,
each with version, kind and message, and the pairs of version and kind for which there is no schema.
"""

import functools
import json
import sys

import kubernetes_validate
from kubernetes_validate import utils

# Each call would read the definitions of a version again.
utils.schema_contents = functools.cache(utils.schema_contents)


def main(versions: list[str]) -> None:
    """Validate every document against every version, unknown fields being errors."""
    failures, unknown = [], []
    documents = json.load(sys.stdin)
    for version in versions:
        for document in documents:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                place = "/".join(map(str, error.path))
                failures.append([version, document["kind"], f"{place}: {error.message}"])
            except kubernetes_validate.SchemaNotFoundError:
                unknown.append([version, document["kind"]])
    json.dump([failures, unknown], sys.stdout)


main(sys.argv[1:])

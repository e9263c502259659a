"""Reads files for Prometheus with its official client's parser, and prints them as JSON: families
with their type, whether they are documented, and their samples.

    prometheus_file.py FILE...
"""

import json
import sys

from prometheus_client.parser import text_fd_to_metric_families


def read(path):
    with open(path, encoding="utf-8") as file:
        families = list(text_fd_to_metric_families(file))
    return {
        family.name: {
            "type": family.type,
            "documented": bool(family.documentation),
            "samples": [[sample.labels, sample.value] for sample in family.samples],
        }
        for family in families
    }


json.dump([read(path) for path in sys.argv[1:]], sys.stdout)

"""Scrapes metrics as Prometheus does, by the parser of prometheus-client.

Usage: scrape.py HOST PORT. Prints a JSON list of [name, labels, value]; ends with an error if the
answer is not what the format asks for.
"""

import http.client
import json
import math
import sys

from prometheus_client.parser import text_string_to_metric_families

connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=20)
connection.request("GET", "/metrics")
response = connection.getresponse()
text = response.read().decode("utf-8")
assert response.status == 200, (response.status, text)
assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4"), response.headers
assert text.endswith("\n"), "the last line has no end"

samples = {}
families = set()
for family in text_string_to_metric_families(text):
    assert family.name not in families, f"{family.name} is there twice"
    families.add(family.name)
    assert family.documentation, f"{family.name} has no help"
    assert family.type in ("counter", "gauge"), f"{family.name} has no type: {family.type}"
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in samples, f"{key} is there twice"
        # JSON knows no infinity.
        samples[key] = "+Inf" if sample.value == math.inf else sample.value
print(json.dumps([[name, dict(labels), value] for (name, labels), value in samples.items()]))

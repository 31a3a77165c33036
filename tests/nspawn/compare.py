"""Compares the events of a receiver with the log: every event arrived, no id occurs twice, no sequence number is missing.

    compare.py LOG HEARD      the output of `meetwatch events --json` and of `meetwatch listen --json`
"""

import json
import sys


def lines(path):
    with open(path, encoding="utf-8") as file:
        # The receiver may be writing its last line.
        return [json.loads(line) for line in file if line.endswith("\n")]


log = [line["event"] for line in lines(sys.argv[1])]
heard = {event["id"] for event in lines(sys.argv[2])}

problems = []
if not log:
    problems.append("the log is empty")
ids = [event["id"] for event in log]
problems += [f"twice in the log: {name}" for name in sorted(set(ids)) if ids.count(name) > 1]
problems += [f"never arrived: {name}" for name in ids if name not in heard]

numbers = {}
for event in log:
    if event["conference"]:
        numbers.setdefault(event["conference"]["name"], []).append(event["sequence"])
for conference, found in numbers.items():
    if found != list(range(1, len(found) + 1)):
        problems.append(f"{conference} has the sequence {found}")

print("\n".join(problems[:10]))
sys.exit(1 if problems else 0)

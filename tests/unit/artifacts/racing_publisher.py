"""Publishes one folder per round under a key that another process uses too; prints what became of each."""

import sys
from pathlib import Path

from artifact_examples import manifest_of, write_files

from spica.artifacts.store import Store
from spica.errors import ConflictError

place, scratch, content, num_rounds = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
store = Store.parse(place)
jobs = []
for index in range(2 * num_rounds):
    folder = write_files(scratch / str(index), model_bin=content if index < num_rounds else "equal")
    jobs.append((folder, manifest_of(folder, key=f"{index:064x}"[::-1])))
store.find("warm-up", "0" * 64)
print("ready", flush=True)
sys.stdin.readline()
for folder, manifest in jobs:
    try:
        print(store.publish(folder, manifest).digest[:8])
    except ConflictError:
        print("conflict")

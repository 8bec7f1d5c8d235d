"""What stages exchange, and where it lies.

    types.py      the rows on disk            manifest.py   lineage, digests, Artifact
    rows.py       read_jsonl, write_jsonl     journal.py    what is done so far, through kill -9
    workspace.py  what a stage writes into    memo.py       execute: cache key, hit check, run, publish
    store.py      file:// and s3://           runs.py       run ids, the run lock, disk check
    code.py       digest of a stage's code    resolve.py    foreign data: file, s3, hf, miniature

Nothing is imported here: a stage's code digest counts the modules it imports, one by one.
"""

"""What KServe's storage initializer runs: SRC DST [SRC DST ...]."""

import sys

from kserve_storage import Storage

for source, target in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    Storage.download(source, target)

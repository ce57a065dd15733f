"""Runs ministack as long as the process that started it lives.

Descriptor 3 is the reading end of a pipe whose writing end only that process
holds. However it ends, kill -9 included, the kernel closes the pipe, and the
emulator then saves its state and ends as on SIGTERM.
"""

import os
import shutil
import signal
import sys
import threading


def end_with_parent():
    os.read(3, 1)
    os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=end_with_parent, daemon=True).start()

sys.argv = ["ministack"]
from ministack.app import main  # noqa: E402: its import takes long, the thread first

try:
    main()
finally:
    if os.environ.get("PERSIST_STATE") != "1":
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)

"""Train in a folder, with a child as dataloaders have, for a minute: python hold_folder.py FOLDER

It writes the child's number.
"""

import multiprocessing
import sys
import time

from fdam_mm.training.sole_training import sole_training

if __name__ == "__main__":
    with sole_training(sys.argv[1]):
        fork = multiprocessing.get_context("fork")
        child = fork.Process(target=time.sleep, args=(60,), daemon=True)
        child.start()
        sys.stdout.write(f"{child.pid}\n")
        sys.stdout.flush()
        time.sleep(60)

"""The outside witness of gopeft: Hugging Face transformers and PEFT, driven from the command line.

    python oracle.py COMMAND --help

Every command is deterministic: fixed seeds, one thread unless told otherwise, deterministic torch kernels, eager
attention, float32. README.md beside this file describes the commands and the file formats.
"""

import os
import sys

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
sys.dont_write_bytecode = True

from peftoracle.commands import main  # noqa: E402  (the environment is set first)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""python -m toolagent"""

import sys

from toolagent.cli import main

if __name__ == "__main__":  # a training beside this one imports the page again
    sys.exit(main())

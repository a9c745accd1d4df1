"""python -m toolagent"""

import sys

from toolagent.cli import main

sys.exit(main())

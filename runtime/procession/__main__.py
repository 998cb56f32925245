"""`python -m procession` is the command `procession`."""

import sys

from procession.daemon.cli import main

if __name__ == "__main__":
    sys.exit(main())

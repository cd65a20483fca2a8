"""`python -m mutdet` is the `mutdet` command."""

import sys

from mutdet.cli import main

sys.exit(main())

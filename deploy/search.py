"""What `ray submit` and `ray job submit` run on a cluster: the command line, on this cluster."""

import sys

from scalesearch.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["run", "--address", "auto", *sys.argv[1:]]
    main()

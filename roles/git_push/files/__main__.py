import sys

from deploy.git_push import main

sys.exit(main(sys.argv[1:]))

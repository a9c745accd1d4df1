import pathlib, test_house
from test_house import *
test_house.ROOT = pathlib.Path('/tmp/cli/root')

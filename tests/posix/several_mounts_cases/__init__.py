"""The cases of several_mounts.py, a file for each kind."""
from . import random_operations, shared_directories, locks, killed_client

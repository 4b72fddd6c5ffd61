"""The cases of bad_input.py, a file for each kind of trouble."""
from . import commands, stores, storages, blocks, metadata, requests, encryption

"""Every tracker that a config can name has the calls of the protocol, with its signatures."""

import inspect

import pytest
import yaml

from peftlab.config.directory import config_dir
from peftlab.config.signature import find
from peftlab.tracker.tracker import Tracker

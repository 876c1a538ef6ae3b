"""Whatever a tool is called with, it answers what is wrong: never a mask, never a traceback."""

import json
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings as examples
from hypothesis import strategies as st
from tests.integration.servers import SERVERS, client_of_server

from opswright_core.pages import BUDGET_BYTES

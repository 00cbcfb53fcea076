"""Applications that nobody here wrote, from npm; the one from PyPI is a requirement of the tests.

How they are installed is in :mod:`tests.live.peers`.
"""

from pathlib import Path

HERE = Path(__file__).parent

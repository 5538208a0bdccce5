"""Networks measured on benchmark folders, as the field measures. A score travels with its protocol.

`run.py` goes through the pictures, `meters.py` measures one, `protocol.py` says how; `statistics.py` says how far
a mean can be trusted, `tables.py` and `report.py` show it, `published.py` has the figures of papers beside it.
"""

from srgan.evaluation.meters import METRICS, Meters, Profile
from srgan.evaluation.results import Score, SetScores, as_json, left_out, write_json
from srgan.evaluation.run import Shot, evaluate
from srgan.evaluation.tables import tables

__all__ = [
    "METRICS",
    "Meters",
    "Profile",
    "Score",
    "SetScores",
    "Shot",
    "as_json",
    "evaluate",
    "left_out",
    "tables",
    "write_json",
]

"""The dashboards, and what writes them beside it: `./run docs`."""

import capacity_row
import distributed_row
import exporter_row
import fleet_row
import membership_row
import models_row
import nodes_row
import overview_row
import questions_row
import trust_row
from board import Board
from events import distributed_events, events
from variables import DISTRIBUTED_UID, UID, distributed_variables, variables

P2P = Board(
    uid=UID,
    title="LocalAI P2P",
    about="The workers and federated nodes of LocalAI's P2P networks, as localai-p2p-exporter sees them.",
    tags=("localai", "p2p"),
    variables=variables(),
    events=events(),
    groups=(overview_row.row(), membership_row.row(), nodes_row.row(), trust_row.row(), exporter_row.row()),
)

DISTRIBUTED = Board(
    uid=DISTRIBUTED_UID,
    title="LocalAI distributed mode",
    about="The nodes and models of LocalAI's distributed mode, as localai-p2p-exporter sees them with "
    "--collector.distributed.",
    tags=("localai", "distributed"),
    variables=distributed_variables(),
    events=distributed_events(),
    groups=(distributed_row.row(), fleet_row.row(), capacity_row.row(), models_row.row(), questions_row.row()),
)

BOARDS = (P2P, DISTRIBUTED)

if __name__ == "__main__":
    for board in BOARDS:
        board.file.write_text(board.text(), "utf-8")

"""The live connection: nothing kept is left out, nothing shown holds anybody up."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import Running, graph, running, save_graph, wait_well
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from graph_runtime.client import Client, message_of
from graph_runtime.problem import Refused
from graph_runtime.server.live import Outbox
from graph_runtime.server.options import ServerLimits

ENDED = ("succeeded", "failed", "cancelled")


def hear(connection: ClientConnection, seconds: float = 20.0) -> dict[str, Any]:
    return message_of(connection.recv(timeout=seconds))


def until_end(connection: ClientConnection, run: str) -> list[dict[str, Any]]:
    """All that is heard up to the end of a run."""
    heard = []
    while True:
        heard.append(hear(connection))
        last = heard[-1]
        if last["type"] == "event" and last["run"] == run and last["data"].get("status") in ENDED:
            return heard


def test_a_client_first_hears_all_that_matters(server: Running) -> None:
    run = server.client.submit(graph("faults/add", a=1, b=1))["id"]
    server.client.wait(run)
    with server.client.live() as connection:
        snapshot = hear(connection)
    assert snapshot["type"] == "snapshot" and run in [one["id"] for one in snapshot["runs"]]
    assert snapshot["workers"][0]["state"] == "ready" and snapshot["queue"]["paused"] == []


def test_a_run_is_heard_from_beginning_to_end_with_its_pictures(server: Running) -> None:
    with server.client.live() as connection:
        hear(connection)
        run = server.client.submit(graph("faults/news"))["id"]
        heard = until_end(connection, run)
    kept = [one for one in heard if one["type"] == "event"]
    assert [one["seq"] for one in kept] == list(range(kept[0]["seq"], kept[0]["seq"] + len(kept)))
    assert [one["data"]["type"] for one in kept if one["run"] == run][-2:] == ["finished", "run-status"]
    assert any(one["type"] == "progress" and one["done"] == 3 for one in heard)
    (picture,) = [one for one in heard if one["type"] == "preview"][-1:]
    assert picture["run"] == run and picture["step"] == "it"


def test_who_was_away_hears_what_was_missed_and_nothing_twice(server: Running) -> None:
    with server.client.live() as connection:
        place = hear(connection)
    runs = [server.client.submit(save_graph(f"away {number}"))["id"] for number in range(3)]
    for run in runs:
        server.client.wait(run)
    with server.client.live(place["epoch"], place["seq"]) as connection:
        assert hear(connection)["type"] == "welcome"
        heard = until_end(connection, runs[-1])
    seqs = [one["seq"] for one in heard if one["type"] == "event"]
    assert seqs == list(range(place["seq"] + 1, seqs[-1] + 1))


@pytest.mark.parametrize("place", ["epoch=other&seq=1", "epoch={epoch}&seq=999999999", "epoch={epoch}&seq=-1", "seq=0",
                                   "epoch={epoch}&seq=abc", "epoch={epoch}&seq=" + "9" * 40])  # fmt: skip
def test_a_place_that_cannot_be_gone_on_from_gives_a_snapshot(server: Running, place: str) -> None:
    epoch = server.server.store.events.epoch
    address = f"ws://127.0.0.1:{server.port}/api/live?{place.format(epoch=epoch)}"
    with connect(address, additional_headers={"Authorization": f"Bearer {server.token}"}, proxy=None) as connection:
        assert hear(connection)["type"] == "snapshot"


def test_a_restarted_server_goes_on_counting(tmp_path: Path) -> None:
    with running(tmp_path / "data", devices=()) as server, server.client.live() as connection:
        place = hear(connection)
        first = server.client.submit(graph("faults/add", a=1, b=1))["id"]
    again = running(tmp_path / "data", devices=())
    with again as server, server.client.live(place["epoch"], place["seq"]) as connection:
        assert hear(connection)["type"] == "welcome"
        assert hear(connection)["run"] == first


def test_when_the_server_ends_it_says_so(tmp_path: Path) -> None:
    with running(tmp_path / "data", devices=()) as server, server.client.live() as connection:
        hear(connection)
        threading.Timer(0.1, server._do, [server.server.hub.close()]).start()
        with pytest.raises(ConnectionClosed) as closed:
            hear(connection)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012


@pytest.mark.parametrize("said", ["{}", "[]", "x", '{"type": "subscribe", "runs": ["../"]}', '{"type": "cancel"}'])
def test_who_says_what_is_not_understood_is_sent_away(server: Running, said: str) -> None:
    with server.client.live() as connection:
        hear(connection)
        connection.send(said)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                hear(connection)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


def test_a_client_hears_the_progress_it_asked_for(server: Running) -> None:
    with server.client.live() as connection:
        hear(connection)
        connection.send(json.dumps({"type": "subscribe", "runs": []}))
        time.sleep(0.2)
        run = server.client.submit(graph("faults/news"))["id"]
        assert not {"progress", "preview"} & {one["type"] for one in until_end(connection, run)}


def test_too_long_a_message_and_too_many_clients_are_refused(tmp_path: Path) -> None:
    limits = ServerLimits(clients=2, message=1000)
    with running(tmp_path / "data", devices=(), options={"limits": limits}) as server:
        with server.client.live() as first, server.client.live() as second:
            hear(first), hear(second)
            with pytest.raises(Refused, match="2 live connections"):
                server.client.live()
            first.send("x" * 1001)
            with pytest.raises(ConnectionClosed) as closed:
                hear(first)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009
            hear_nothing(second)
        with server.client.live() as third:
            assert hear(third)["type"] == "snapshot"


def hear_nothing(connection: ClientConnection) -> None:
    with pytest.raises(TimeoutError):
        connection.recv(timeout=0.2)


def test_a_flood_of_progress_is_overtaken_not_queued(server: Running) -> None:
    with server.client.live() as connection:
        hear(connection)
        run = server.client.submit(graph("trouble/floods", count=30_000))["id"]
        heard = until_end(connection, run)
    assert sum(one["type"] == "progress" for one in heard) < 3_000
    assert server.client.run(run)["status"] == "succeeded"


@given(
    st.lists(
        st.tuples(st.just("add"), st.integers(1, 400)) | st.tuples(st.just("show"), st.integers(0, 200)), max_size=400
    )
)
def test_what_is_kept_for_one_client_has_an_end(said: list[tuple[str, int]]) -> None:
    """Within its bounds all state is kept, in order; beyond them nothing is."""
    limits = ServerLimits(outbox=5_000, outbox_events=40)
    outbox = Outbox(limits)
    sizes: list[int] = []
    for what, number in said:
        if what == "add":
            outbox.add(len(sizes), "x" * number)
            sizes.append(number)
        else:
            outbox.show(("Preview", "run", str(number)), b"x")
        kept = [len(text) for _, text in outbox.state]
        assert sum(kept) <= limits.outbox and len(kept) <= limits.outbox_events and len(outbox.passing) <= 64
        assert kept == ([] if outbox.full.is_set() else sizes)
    fits = sum(sizes) <= limits.outbox and len(sizes) <= limits.outbox_events
    assert outbox.full.is_set() != fits


class Stuck:
    """A client that shakes hands and then never reads."""

    def __init__(self, server: Running) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", server.port))
        lines = [
            "GET /api/live HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            f"Authorization: Bearer {server.token}", "", "",
        ]  # fmt: skip
        self.socket.sendall("\r\n".join(lines).encode())
        assert b" 101 " in self.socket.recv(64)

    def close(self) -> None:
        self.socket.close()


def test_clients_that_do_not_read_hold_up_nobody_and_are_let_go(tmp_path: Path) -> None:
    """200 clients, 20 of them stuck: the others hear everything in order, the run ends, and little is kept."""
    clients, stuck = 200, 20
    limits = ServerLimits(clients=clients + 20, outbox=2 << 20)
    with running(tmp_path / "data", options={"limits": limits}) as server:
        server.wait_ready()
        client = Client(server.address, server.token, patience=30.0)
        heard: list[list[int]] = [[] for _ in range(clients - stuck)]

        def listen(number: int) -> None:
            for message in client.listen(place["epoch"], place["seq"]):
                if message["type"] == "event":
                    heard[number].append(message["seq"])
                    if message["run"] == "last" and message["data"].get("status") in ENDED:
                        return

        with client.live() as connection:
            place = hear(connection)
        still = [Stuck(server) for _ in range(stuck)]
        threads = [threading.Thread(target=listen, args=(number,)) for number in range(clients - stuck)]
        for thread in threads:
            thread.start()
        while len(server.server.hub.clients) < clients:
            time.sleep(0.02)
        client.submit(graph("trouble/talks", count=120, length=50_000))
        client.submit(graph("faults/add", a=1, b=2), run="last")
        client.wait("last", 120)
        for thread in threads:
            thread.join(60)
        for seqs in heard:
            assert len(seqs) > 120 and seqs == list(range(place["seq"] + 1, seqs[-1] + 1))
        until = time.monotonic() + 20
        while server.server.hub.clients:
            assert time.monotonic() < until, len(server.server.hub.clients)
            time.sleep(0.05)
        assert server.server.hub.lost >= stuck
        wait_well(client)
        for each in still:
            each.close()

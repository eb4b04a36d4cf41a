"""Models behind a URL: against a server that follows UM-Bridge's protocol, and against those that do not."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from mechscreen import get_model, storage
from mechscreen.errors import InputError, ModelError, StorageError
from mechscreen.models import Status
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.stages.simulate import simulate_table

SIZES = {"inputs": [1, 2], "outputs": [1, 4]}
GRID = np.arange(3.0)


class Server(BaseHTTPRequestHandler):
    """y = a + b, and a series a + b c t behind a value more; what `misbehave` says for the others."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        about = {"protocolVersion": self.server.version, "models": ["forward", "other"]}
        self.answer(200, about if self.path == "/Info" else {})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, asked))
        if asked["name"] not in ("forward", "other"):
            return self.wrong("ModelNotFound", f"Model {asked['name']} not supported!")
        if self.path == "/ModelInfo":
            return self.answer(200, {"support": {"Evaluate": asked["name"] == "forward"}})
        if self.path in ("/InputSizes", "/OutputSizes"):
            kind = self.path[1:-5].lower()
            return self.answer(200, {f"{kind}Sizes": SIZES[f"{kind}s"]})
        sizes = [len(vector) for vector in asked["input"]]
        if sizes != SIZES["inputs"]:
            return self.wrong("InvalidInput", f"sizes {sizes}")
        (a,), (b, c) = asked["input"]
        if self.server.misbehave:
            return self.server.misbehave(self, a)
        return self.answer(200, {"output": [[a + b], [-1.0, *(a + b * c * GRID)]]})

    def wrong(self, kind, message):
        self.answer(400, {"error": {"type": kind, "message": message}})

    def answer(self, code, content):
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def serve():
    """Return a function that starts a server, which ends with the test."""
    servers = []

    def started(misbehave=None, version=1.0):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
        server.daemon_threads = True
        server.misbehave, server.version, server.asked = misbehave, version, []
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        server.url = f"http://127.0.0.1:{server.server_port}"
        return server

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


OPTIONS = {
    "model": "forward",
    "parameters": {"a": [0.1, 2.0], "b": [1, 3], "c": [2, 2]},
    "outputs": {
        "y": {"vector": 0},
        "series": {"vector": 1, "first": 1, "grid": [0, 1, 2], "scale": "linear"},
        "second": {"vector": 1, "first": 2},
    },
}
SETS = np.array([[0.1, 1.0, 2.0], [1 / 3, 3.0, 2.0]])


def solve(server, **changed):
    model = get_model("umbridge", **{"url": server.url, **OPTIONS, **changed})
    return model.simulate(SETS), model


def test_what_the_server_returns_is_what_comes_out_with_all_digits(serve):
    server = serve()
    model = get_model("umbridge", url=f"{server.url}/", config={"fidelity": 2}, **OPTIONS)
    assert not server.asked
    solution = model.solve(SETS, np.zeros(2, np.uint64))
    a, b, c = SETS.T
    assert np.array_equal(solution.profiles["y"], a + b)
    assert np.array_equal(solution.profiles["series"], a[:, None] + (b * c)[:, None] * GRID)
    assert np.array_equal(solution.profiles["second"], a + b * c)
    path, asked = server.asked[-1]
    assert path == "/Evaluate"
    assert asked == {"name": "forward", "input": [[1 / 3], [3.0, 2.0]], "config": {"fidelity": 2}}
    assert all(asked["config"] == {"fidelity": 2} for path, asked in server.asked if path != "/ModelInfo")


@contextmanager
def closing(server):
    yield
    server.shutdown()


def late(request, a):
    time.sleep(1.0)
    request.answer(200, {"output": [[1.0], [0.0, 1.0, 1.0, 1.0]]})


def of_the_first_alone(what):
    return lambda request, a: what(request) if a == 0.1 else request.answer(200, {"output": [[1.0], [0, 1, 1, 1]]})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda request: request.wrong("UserError", "no mesh\nfor it"), "UserError: no mesh for it"),
        (lambda request: request.answer(500, b"<html>"), "Evaluate: the server answers 500"),
        (lambda request: request.answer(200, {"error": {"type": "T", "message": "m"}}), "T: m"),
        (lambda request: request.answer(200, b"<html>"), "Evaluate: the answer is no JSON"),
        (lambda request: request.answer(200, [1]), "Evaluate: the answer is no JSON object"),
        (
            lambda request: request.answer(200, {"result": 1}),
            "the server's answer to Evaluate has no 'output' of numbers",
        ),
        (lambda request: request.answer(200, {"output": [["a"], [1, 2, 3, 4]]}), "has no 'output' of numbers"),
        (lambda request: request.answer(200, {"output": [[1], [1, 2, 3]]}), "vectors of 1, 3 values, and said 1, 4"),
        (lambda request: request.answer(200, {"output": [[1]]}), "returned vectors of 1 values, and said 1, 4"),
        (lambda request: request.answer(200, {"output": [[float("nan")], [0, 1, 1, 1]]}), "output 'y' is nan"),
        (lambda request: request.answer(200, {"output": [[None], [0, 1, 1, 1]]}), "output 'y' is nan"),
        (lambda request: request.connection.close(), "Evaluate: the server ended the connection"),
        (lambda request: late(request, 0), "Evaluate: no answer within 0.3 s"),
    ],
)
def test_what_goes_wrong_is_the_reason_of_that_sample_alone(serve, answer, reason):
    result, _ = solve(serve(of_the_first_alone(answer)), time_limit=0.3)
    assert result.status.tolist() == [Status.NOT_FINITE, Status.OK]
    assert reason in result.reasons[0]


@pytest.mark.parametrize(
    ("version", "changed", "message"),
    [
        (0.9, {}, "speaks version 0.9 of the protocol, not 1.0"),
        (1.0, {"model": "forwrd"}, r"has no model 'forwrd'; did you mean 'forward'\? \(valid: forward, other\)"),
        (1.0, {"model": ""}, r"has no model '' \(valid: forward, other\)"),
        (1.0, {"model": "other"}, "'other' at http.* cannot be evaluated"),
        (1.0, {"parameters": {"a": [0, 1], "b": [0, 1]}}, r"takes 3 values \(vectors of 1, 2\), and 2 parameters are"),
        (1.0, {"outputs": {"y": {"vector": 2}}}, "output 'y': no vector 2; the model returns vectors of 1, 4 values"),
        (1.0, {"outputs": {"y": {"vector": 1, "first": 4}}}, "output 'y': ends with value 5 of vector 1, which has 4"),
        (1.0, {"outputs": {"y": {"grid": [0, 1]}}}, "ends with value 2 of vector 0, which has 1; change first, or"),
    ],
)
def test_what_the_server_has_not_ends_the_job_before_anything_is_written(serve, tmp_path, version, changed, message):
    server = serve(version=version)
    options = {"url": server.url, **OPTIONS, **changed}
    names = list(options["parameters"])
    (tmp_path / "sets.csv").write_text("\n".join([",".join(names), *[",".join("1" for _ in names)] * 10]) + "\n")
    with pytest.raises(ModelError, match=f"fails for each of the first 8 samples: InputError: .*{message}"):
        simulate_table("umbridge", tmp_path / "sets.csv", tmp_path / "out.h5", options=options)
    assert [path.name for path in tmp_path.iterdir()] == ["sets.csv"]


def test_a_server_that_is_away_ends_the_job_and_its_samples_are_simulated_once_it_is_there(serve, tmp_path):
    server = serve()
    server.shutdown()
    server.server_close()
    table, out = tmp_path / "sets.csv", tmp_path / "out.h5"
    table.write_text("a,b,c\n0.1,1,2\n0.5,2,2\n")
    options = {"url": server.url, **OPTIONS}
    with pytest.raises(StorageError, match="no server answers there; start it, and run again"):
        simulate_table("umbridge", table, out, options=options)
    assert not out.exists()
    again = ThreadingHTTPServer(("127.0.0.1", server.server_port), Server)
    again.misbehave, again.version, again.asked = None, 1.0, []
    threading.Thread(target=again.serve_forever, args=(0.05,), daemon=True).start()
    with closing(again):
        simulate_table("umbridge", table, out, options=options)
    assert storage.read(Path(out), SimulationFile.kind)["status"].tolist() == [Status.OK] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": ""}, "url is ''; give the server's"),
        ({"url": "localhost:4242"}, "url is 'localhost:4242'; give the server's"),
        ({"parameters": {}}, "its option 'parameters' is missing"),
        ({"parameters": {"a b": [0, 1]}}, "names have letters, digits and underscores"),
        ({"parameters": {"a": [0]}}, r"is no range; give \[low, high\]"),
        ({"outputs": None}, "its option 'outputs' is missing"),
        ({"outputs": {"y": 0}}, "output 'y': 0 does not say where it stands"),
        ({"outputs": {"y": {"vectr": 0}}}, "no 'vectr'; did you mean 'vector'"),
        ({"outputs": {"y": {"vector": -1}}}, "vector is -1; places are counted from 0"),
        ({"outputs": {"y": {"first": 0.5}}}, "first is 0.5; places are counted from 0"),
        ({"time_limit": -1}, "time_limit = -1 is no number of seconds"),
    ],
)
def test_options_that_are_wrong_are_named(change, message):
    with pytest.raises(InputError, match=message):
        get_model("umbridge", **{"url": "http://localhost:1", **OPTIONS, **change})

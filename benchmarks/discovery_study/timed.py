"""Time one discovery: run as a program, by whichever version of the package is on the path.

    python timed.py data.npz DEGREE SECONDS

It uses the public functions alone, so that versions can be compared. The file holds ``names`` and, for each
trajectory k, ``t{k}`` and ``y{k}``. A small discovery first compiles and fills caches; one that takes less than a
second is repeated for a second, and the shortest counts. Prints JSON: processor seconds and, of the model, coefficients
(in the order of ``Polynomial``), confidence and caveats; or ``failed``. After the given processor seconds the system
ends it.
"""

import json
import math
import resource
import sys
import time

import numpy as np

from mechscreen import Polynomial, discover


def main() -> None:
    t = np.linspace(0.0, 5.0, 40)
    discover(t, 3 + np.exp(-t) + 1e-3 * np.sin(40 * t), Polynomial(1))
    file, degree, limit = sys.argv[1:]
    with np.load(file) as data:
        names = [str(name) for name in data["names"]]
        times = [data[f"t{k}"] for k in range(sum(key.startswith("t") for key in data))]
        values = [data[f"y{k}"] for k in range(len(times))]
    most = math.ceil(time.process_time() + float(limit))
    resource.setrlimit(resource.RLIMIT_CPU, (most, most))
    began = time.process_time()
    seconds: list[float] = []
    try:
        while not seconds or time.process_time() - began < 1:
            start = time.process_time()
            model = discover(times, values, Polynomial(int(degree)), names=names)
            seconds.append(time.process_time() - start)
    except Exception as error:
        told: dict[str, object] = {"failed": f"{type(error).__name__}: {error}", "seconds": time.process_time() - began}
    else:
        told = {
            "seconds": min(seconds),
            "coefficients": model.coefficients.tolist(),
            "confidence": model.confidence,
            "caveats": list(model.caveats),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Many threads that try the same thing at the same moment, round after round."""
import concurrent.futures
import threading

WRITERS = 8
ROUNDS = 40


def winners_per_round(attempt):
    """attempt(round, writer) says whether it won; returns how many did, for each round."""
    start = threading.Barrier(WRITERS, timeout=60)

    def write(writer):
        won = []
        for number in range(ROUNDS):
            start.wait()
            won.append(attempt(number, writer))
        return won

    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        futures = [pool.submit(write, writer) for writer in range(WRITERS)]
        for future in concurrent.futures.as_completed(futures):
            if future.exception():
                start.abort()  # the others need not wait for it
        results = [future.result() for future in futures]
    return [sum(column) for column in zip(*results)]

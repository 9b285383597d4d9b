"""Measures transfer engines and Baton in turns and prints one table; see Tools/bench-peers.

  measure.py BATON ROUNDS SYSTEM...
"""

import datetime
import json
import os
import platform
import select
import signal
import statistics
import subprocess
import sys

from systems import SYSTEMS

ANSWER_SECONDS = 60
SMALL_READS = 200
SEED = 20
PULLED_BYTES = 256 << 20
SMALL_BYTES = 4 << 10

BIG = ["--tokens", "2048", "--block-bytes", "262144", "--blocks", "scattered", "--seconds", "0"]
SMALL = ["--tokens", "16", "--geometry", "1,1,64,bf16", "--seconds", "0.02"]
BATON_ROWS = {
    "shm, copy, verified": ["--verify", "full"],
    "shm, copy": ["--verify", "off"],
    "shm, borrow": ["--mode", "borrow"],
    "tcp, copy, verified": ["--transport", "tcp", "--verify", "full"],
    "tcp, copy": ["--transport", "tcp", "--verify", "off"],
}


class Failure(Exception):
    """Why a system has no figures."""


class Process:
    """A worker that is stopped whenever nothing is asked of it: engines may spin while they wait,
    and would take the processors from what is measured."""

    def __init__(self, system, role):
        folder = os.path.dirname(os.path.abspath(__file__))
        self.child = subprocess.Popen(
            [sys.executable, os.path.join(folder, "worker.py"), system, role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | SYSTEMS[system].environment,
        )

    def receive(self):
        ready, _, _ = select.select([self.child.stdout], [], [], ANSWER_SECONDS)
        if not ready:
            raise Failure(f"no answer in {ANSWER_SECONDS} s")
        line = self.child.stdout.readline()
        if not line:
            raise Failure(f"its process ended with status {self.child.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer["value"]

    def ask(self, name, *arguments):
        try:
            self.child.stdin.write((json.dumps([name, arguments]) + "\n").encode())
            self.child.stdin.flush()
        except BrokenPipeError:
            raise Failure(f"its process ended with status {self.child.wait()}") from None
        return self.receive()

    def stop(self):
        self.child.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.child.send_signal(signal.SIGCONT)

    def end(self):
        self.child.kill()
        self.child.wait()


class Pair:
    """Source and reader of one system, and what was measured of it."""

    def __init__(self, system):
        self.title, self.transport = SYSTEMS[system].title, SYSTEMS[system].transport
        self.version = ""
        self.failure = None
        self.pulls, self.small, self.processor = [], [], []
        self.processes = [Process(system, role) for role in ("source", "reader")]
        self.source, self.reader = self.processes
        self.attempt(self.connect)

    def attempt(self, body):
        """Runs `body` with the processes awake; a failure ends them and is kept."""
        if self.failure:
            return
        try:
            for process in self.processes:
                process.go_on()
            body()
            for process in self.processes:
                process.stop()
        except Failure as failure:
            self.failure = str(failure)
            self.end()

    def connect(self):
        self.version = self.source.receive()
        self.reader.receive()
        answer = self.reader.ask("connect", self.source.ask("offer", SEED))
        self.source.ask("accept", answer)
        self.check()

    def check(self):
        wrong = self.reader.ask("check", SEED)
        if wrong:
            raise Failure(f"{wrong} blocks arrived with wrong bytes")

    def measure(self):
        # What was stopped for a while wakes up first.
        self.reader.ask("pull")
        before = sum(process.ask("processor_time") for process in self.processes)
        self.pulls.append(self.reader.ask("pull"))
        self.processor.append(
            sum(process.ask("processor_time") for process in self.processes) - before
        )
        self.small.append(statistics.median(self.reader.ask("pull_small", SMALL_READS)))

    def row(self):
        head = [f"{self.title} {self.version}".strip(), self.transport]
        if self.failure:
            what = "failed" if self.version else "skipped"
            return head + [f"{what}: {self.failure}", "", "", ""]
        rates = [PULLED_BYTES / nanoseconds for nanoseconds in self.pulls]
        processor = statistics.median(self.processor) / 1e9 / (PULLED_BYTES / 2**30)
        small = [nanoseconds / 1e3 for nanoseconds in self.small]
        return head + [rate(rates), f"{processor:.2f}", time(small), "right"]

    def end(self):
        for process in self.processes:
            process.end()


class Baton:
    """`baton bench migrate` in each of its modes."""

    def __init__(self, executable):
        self.executable = executable
        self.results = {name: ([], []) for name in BATON_ROWS}

    def measure(self):
        for name, flags in BATON_ROWS.items():
            for results, size in zip(self.results[name], (BIG, SMALL)):
                results.append(self.bench(flags + size))

    def bench(self, flags):
        command = [self.executable, "bench", "migrate", "--json", *flags]
        # It compares what has arrived with what was written, and fails if that differs.
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=ANSWER_SECONDS)
        return json.loads(output.stdout)

    def rows(self):
        version = subprocess.run(
            [self.executable, "--version"], stdout=subprocess.PIPE, check=True, text=True
        ).stdout.strip()
        for name, (big, small) in self.results.items():
            if name == "shm, borrow":
                throughput = f"{median(big, 'p50_us'):.1f} µs, nothing moves"
            else:
                throughput = rate([result["gigabytes_per_second"] for result in big])
            yield [
                f"Baton {version}", name, throughput, f"{median(big, 'cpu_seconds_per_gib'):.2f}",
                time([result["p50_us"] for result in small]), "right",
            ]
        yield self.limit("shm", "fastest plain copy, one thread")
        yield self.limit("tcp", "bare stream in C, as many connections")

    def limit(self, transport, what):
        """What stood beside the copies over one transport."""
        names = [f"{transport}, copy, verified", f"{transport}, copy"]
        bigs = [result for name in names for result in self.results[name][0]]
        smalls = [result for name in names for result in self.results[name][1]]
        return [
            f"the limit of {transport}", what,
            rate([result["limit_gigabytes_per_second"] for result in bigs]), "",
            time([SMALL_BYTES / result["limit_gigabytes_per_second"] / 1e3 for result in smalls]),
            "",
        ]


def median(results, key):
    return statistics.median(result[key] for result in results)


def rate(rates):
    """Median and spread."""
    return f"{statistics.median(rates):.1f} ({min(rates):.1f}–{max(rates):.1f})"


def time(microseconds):
    return f"{statistics.median(microseconds):.1f}"


def print_table(rows):
    heads = [
        "system", "transport", "1,024 × 256 KiB, GB/s", "CPU s/GiB", "4 KiB, p50 µs", "bytes"
    ]
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def main():
    executable, rounds, systems = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    pairs = []
    try:
        for system in systems:
            pairs.append(Pair(system))
        baton = Baton(executable)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            for pair in pairs:
                pair.attempt(pair.measure)
            baton.measure()
        for pair in pairs:
            pair.attempt(pair.check)
        print(
            f"{datetime.date.today()}, {os.cpu_count()} processors, Linux {platform.release()}, "
            f"{rounds} rounds in turns; median (smallest–largest)\n"
        )
        print_table([pair.row() for pair in pairs] + list(baton.rows()))
    finally:
        for pair in pairs:
            pair.end()


if __name__ == "__main__":
    main()

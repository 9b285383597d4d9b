"""One of the two processes of a transfer engine: obeys one JSON object a line.

  worker.py SYSTEM source|reader

Its memory holds blocks; the reader's order of blocks and the source's are both shuffled, so that no
engine can join neighbours.
"""

import ctypes
import json
import mmap
import os
import random
import signal
import sys
import time

import numpy

from systems import SYSTEMS, version

BLOCK_BYTES = 256 << 10
BLOCKS = 1024
SMALL_BYTES = 4 << 10
HUGE_BYTES = 2 << 20
PR_SET_PDEATHSIG = 1
WORDS = BLOCK_BYTES // 8


def memory():
    """Room for all blocks, on huge pages where the system gives them to who asks."""
    area = mmap.mmap(-1, BLOCKS * BLOCK_BYTES + HUGE_BYTES)
    area.madvise(mmap.MADV_HUGEPAGE)
    whole = numpy.frombuffer(area, dtype=numpy.uint64)
    start = -whole.ctypes.data % HUGE_BYTES // 8
    words = whole[start : start + BLOCKS * WORDS]
    words[:] = 0
    return words.reshape(BLOCKS, WORDS)


def pattern(seed):
    """What a source writes into its blocks."""
    words = numpy.random.PCG64(seed).random_raw(BLOCKS * WORDS)
    return words.reshape(BLOCKS, WORDS)


def scattered(seed):
    """The blocks' places in an order in which none follows its neighbour but by chance."""
    odd, even = list(range(1, BLOCKS, 2)), list(range(0, BLOCKS, 2))
    generator = random.Random(seed)
    generator.shuffle(odd)
    generator.shuffle(even)
    return odd + even


class Worker:
    def __init__(self, system, role):
        self.blocks = memory()
        address, length = self.blocks.ctypes.data, self.blocks.nbytes
        self.system = SYSTEMS[system](role, address, length)
        self.version = version(system)
        self.sources, self.targets = scattered(1), scattered(2)
        self.source_offsets = [place * BLOCK_BYTES for place in self.sources]
        self.target_offsets = [place * BLOCK_BYTES for place in self.targets]
        self.small = ([self.target_offsets[0]], [self.source_offsets[0]])

    def offer(self, seed):
        self.blocks[:] = pattern(seed)
        return self.system.offer()

    def connect(self, offer):
        return self.system.connect(offer)

    def accept(self, answer):
        self.system.accept(answer)

    def pull(self):
        """Nanoseconds of one pull of all blocks."""
        start = time.perf_counter_ns()
        self.system.read(self.target_offsets, self.source_offsets, BLOCK_BYTES)
        return time.perf_counter_ns() - start

    def pull_small(self, count):
        """Nanoseconds of each of `count` reads of one small piece, the same every time."""
        times = []
        for _ in range(count):
            start = time.perf_counter_ns()
            self.system.read(*self.small, SMALL_BYTES)
            times.append(time.perf_counter_ns() - start)
        return times

    def check(self, seed):
        """How many blocks are not the source's after one more pull of each kind."""
        expected = pattern(seed)
        words = SMALL_BYTES // 8
        self.blocks[:] = 0
        self.pull_small(1)
        first = self.blocks[self.targets[0]]
        right = numpy.array_equal(first[:words], expected[self.sources[0]][:words])
        wrong = not right or first[words:].any()
        self.blocks[:] = 0
        self.pull()
        pairs = zip(self.targets, self.sources)
        return int(wrong) + sum(
            not numpy.array_equal(self.blocks[target], expected[source])
            for target, source in pairs
        )

    def processor_time(self):
        """Nanoseconds that processors have spent on all threads of this process."""
        return time.process_time_ns()


def main():
    # Also where the one that measures is killed while this process is stopped (prctl(2)).
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Libraries write to standard output as they like, so the answers go to where that was.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        worker = Worker(*sys.argv[1:3])
        answer({"value": worker.version})
        for line in sys.stdin:
            name, arguments = json.loads(line)
            answer({"value": getattr(worker, name)(*arguments)})
    except Exception as error:  # whatever a foreign library raises is told, and ends this run of it
        answer({"error": f"{type(error).__name__}: {error}"})
    # Engines' own threads do not all let an interpreter end.
    os._exit(0)


main()

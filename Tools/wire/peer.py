"""The other side of a test: reads what Baton's encoder wrote, and writes for its decoder.

    peer.py FOLDER COUNT

FOLDER/ours.jsonl has one object a line: `bytes`, frames as hexadecimal text, and `message`, what
they say. All are decoded with Google's protobuf and compared field by field. Then
FOLDER/theirs.jsonl is written: COUNT random messages of each type in the same form, with
`canonical`, their bytes in the order of the fields' numbers.
"""

import json
import pathlib
import random
import sys

import baton_wire as wire
from messages import Filler


def whole(data):
    """The one message of `data`, put together from its frames."""
    payload = b""
    for number, flags, _, part in wire.frames(data):
        payload += part
    assert "continues" not in flags, flags
    return number, payload


def check(types, line):
    entry = json.loads(line)
    number, payload = whole(bytes.fromhex(entry["bytes"]))
    message = types[number].FromString(payload)
    found = wire.meaning(message)
    assert found == entry["message"], f"Google reads {found}, Baton wrote {entry['message']}"
    assert message.SerializeToString(deterministic=True) == payload, f"other bytes for {found}"
    return number


def shuffled(message, order):
    """Another encoding of the message: its fields in any order, between them one not known."""
    parts = [wire.field_bytes(order.randint(500, 900), order.randbytes(order.randint(0, 20)))]
    parts += [wire.alone(message, field) for field, _ in message.ListFields()]
    order.shuffle(parts)
    return b"".join(parts)


def theirs(types, count):
    order = random.Random(5)
    for number, message_class in sorted(types.items()):
        for index in range(count):
            message = Filler("random", number * 1_000_000 + index).fill(message_class())
            canonical = message.SerializeToString(deterministic=True)
            payload = shuffled(message, order) if index % 2 else canonical
            stream = order.randint(0, 2**64 - 1)
            yield {
                "bytes": wire.frame(number, payload, stream=stream).hex(),
                "message": wire.meaning(message),
                "canonical": wire.frame(number, canonical, stream=stream).hex(),
            }


def main():
    folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    types = wire.load()
    lines = (folder / "ours.jsonl").read_text().splitlines()
    seen = {check(types, line) for line in lines}
    assert seen == set(types), f"types {set(types) - seen} were not tried"
    with open(folder / "theirs.jsonl", "w") as file:
        for entry in theirs(types, count):
            print(json.dumps(entry), file=file)
    print(f"{len(lines)} messages of {len(seen)} types are the same to Google's protobuf")


main()

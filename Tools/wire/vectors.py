"""Writes Protocols/vectors/*.json; with --check, fails where they differ from what it would write.

Run it through Tools/generate-vectors. Protocols/vectors/README.md describes the files.
"""

import pathlib
import re
import sys

from google.protobuf.descriptor import FieldDescriptor

import baton_wire as wire
import frame_vectors
import handshake_vectors
from baton_wire import is_list, is_message
from messages import (
    INTEGERS,
    MAXIMUM_POOL_BLOCKS,
    MAXIMUM_TEXT,
    MAXIMUM_TICKET_BLOCKS,
    Filler,
    limits_of,
    name_of,
)

VECTORS = wire.PROTOCOLS / "vectors"

# Of a message with a longer list than this a vector says only that it is taken.
LONG_LIST = 64


def valid(name, message, number, payload=None, canonical=True):
    """`payload`, if it is given, is another encoding of the message."""
    if payload is None:
        payload = message.SerializeToString(deterministic=True)
    vector = {"name": name, "bytes": wire.frame(number, payload).hex()}
    if not canonical:
        vector["canonical"] = False
    header = {"type": message.DESCRIPTOR.name, "flags": ["last"], "stream": "1"}
    return vector | {"messages": [header | {"message": wire.meaning(message)}]}


def invalid(name, number, payload, code, reason):
    frame = wire.frame(number, payload)
    return {"name": name, "bytes": frame.hex(), "error": {"code": code, "reason": reason}}


def full(number, types):
    return Filler("full", number).fill(types[number]())


def places(message):
    """Each field of `message` and of the messages in it, with the message that it is in."""
    for field in sorted(message.DESCRIPTOR.fields, key=lambda each: each.number):
        yield message, field
        if is_message(field):
            content = getattr(message, field.name)
            if is_list(field):
                yield from places(content[0])
            elif message.HasField(field.name):
                yield from places(content)


def encodings(number, types):
    """Other encodings of one message that every receiver must read the same way."""
    message = full(number, types)
    payload = message.SerializeToString(deterministic=True)
    unknown = wire.field_bytes(1000, 7) + wire.field_bytes(1001, b"later")
    yield valid("fields that are not known", message, number, payload + unknown, False)
    parts = [wire.alone(message, field) for field, _ in message.ListFields()]
    if len(parts) > 1:
        backwards = b"".join(reversed(parts))
        yield valid("fields from the last to the first", message, number, backwards, False)
    least = Filler("least", number).fill(types[number]())
    for field in sorted(message.DESCRIPTOR.fields, key=lambda each: each.number):
        if is_list(field) and field.cpp_type in INTEGERS and not wide_fixed(field):
            single = types[number]()
            single.CopyFrom(least)
            getattr(single, field.name).extend([1, 300])
            one_by_one = wire.field_bytes(field.number, 1) + wire.field_bytes(field.number, 300)
            rest = least.SerializeToString(deterministic=True)
            name = f"{field.name} one by one instead of packed"
            yield valid(name, single, number, rest + one_by_one, False)
        elif is_plain_number(field) and not getattr(least, field.name):
            zero = wire.varint(field.number << 3) + b"\x80\x00"
            rest = least.SerializeToString(deterministic=True)
            name = f"{field.name} with its default written out, in two bytes"
            yield valid(name, least, number, rest + zero, False)
            return


def wide_fixed(field):
    return field.type in (FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_FIXED32)


def is_plain_number(field):
    return (
        field.type in (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64)
        and not is_list(field)
        and not field.containing_oneof
    )


def edges(number, types):
    """Messages with one field as long or as large as is allowed, and one more."""
    message = full(number, types)
    for index, (_, field) in enumerate(places(message)):
        limits = limits_of(field)

        def changed():
            copy = full(number, types)
            return copy, list(places(copy))[index][0]

        for name, change, reason in mutations(field, limits):
            copy, holder = changed()
            change(holder)
            if reason is None:
                vector = valid(f"{name_of(field)} {name}", copy, number)
                if is_list(field) and limits.get("most", 0) > LONG_LIST:
                    del vector["messages"][0]["message"]
                yield name_of(field), vector
            else:
                payload = copy.SerializeToString(deterministic=True)
                label = f"{name_of(field)} {name}"
                yield name_of(field), invalid(label, number, payload, "INVALID_ARGUMENT", reason)


def mutations(field, limits):
    """(what, a function that makes it so, the expected reason or None) for one field."""
    label = name_of(field)

    def set_to(value):
        return lambda holder: setattr(holder, field.name, value)

    if "most" in limits:
        for count, reason in ((limits["most"], None), (limits["most"] + 1, label)):
            yield f"with {count} elements", resize(field, count), reason
    if "least" in limits:
        yield "empty", resize(field, 0), limits.get("named_by", label)
    if "bytes" in limits:
        for name, count in (("short", limits["bytes"] - 1), ("long", limits["bytes"] + 1)):
            yield f"a byte too {name}", change_bytes(field, bytes(count)), label
    yield from RUNS.get(label, [])
    if "range" in limits and field.type != FieldDescriptor.TYPE_FLOAT and not is_list(field):
        yield from ranges(field, limits["range"], label, set_to)
    if field.type == FieldDescriptor.TYPE_FLOAT:
        for value in (float("nan"), float("inf"), -1.0):
            yield f"{value}", set_to(value), label
    if limits.get("kind") == "token":
        if is_list(field):
            yield "with a negative token", lambda holder: negative(holder, field), label
        else:
            yield "negative", set_to(-1), label
    if limits.get("kind") == "offset":
        yield "past the end", lambda holder: past_end(holder, field), "ModelAssetChunk"
    if field.type == FieldDescriptor.TYPE_ENUM:
        yield "with a number that is not known", set_to(99), label
        if not limits.get("optional"):
            yield "unspecified", set_to(0), label
    if is_message(field) and not is_list(field) and not limits.get("optional"):
        if not field.containing_oneof:
            yield "missing", lambda holder: holder.ClearField(field.name), label
        else:
            yield "missing", lambda holder: holder.ClearField(field.name), label.split(".")[0]
    if field.type == FieldDescriptor.TYPE_STRING and not is_list(field):
        yield from texts(limits, label, set_to)


def blocks(*runs):
    """A change of a ticket: its runs, each a count and a gap."""

    def change(ticket):
        ticket.block_counts[:] = [count for count, _ in runs]
        ticket.block_gaps[:] = [gap for _, gap in runs]

    return change


def stamps(checksums, runs=(), jumps=(), first=6):
    """A change of a progress: as many blocks as checksums, and their stamps."""

    def change(progress):
        progress.checksums[:] = range(checksums)
        progress.first_stamp = first
        progress.stamp_runs[:] = runs
        progress.stamp_jumps[:] = jumps

    return change


def without_last(name):
    return lambda holder: getattr(holder, name).pop()


# What lists that go together say, by the field that a refusal names.
RUNS = {
    "Ticket.block_counts": [
        ("of none", blocks(), None),
        ("of scattered runs", blocks((1, 900), (32, -2), (3, 0), (1, -900)), None),
        ("with as many blocks as a prompt", blocks((1, 0), (MAXIMUM_TICKET_BLOCKS - 1, 7)), None),
        ("with a block more", blocks((1, 0), (MAXIMUM_TICKET_BLOCKS, 7)), "Ticket.block_counts"),
        ("with an empty run", blocks((1, 0), (0, 1), (1, 1)), "Ticket.block_counts"),
        ("with the largest run", blocks((2**32 - 1, 0)), "Ticket.block_counts"),
        ("with a run without a gap", without_last("block_gaps"), "Ticket.block_counts"),
    ],
    "Ticket.block_gaps": [
        ("to the largest pool's end", blocks((2, MAXIMUM_POOL_BLOCKS - 2), (1, -5)), None),
        ("past the largest pool's end", blocks((2, MAXIMUM_POOL_BLOCKS - 1)), "Ticket.block_gaps"),
        ("before block 0", blocks((2, 0), (1, -3)), "Ticket.block_gaps"),
        ("the largest", blocks((1, 1), (1, 2**31 - 1)), "Ticket.block_gaps"),
        ("the smallest", blocks((1, 1), (1, -(2**31))), "Ticket.block_gaps"),
        ("without a run", without_last("block_counts"), "Ticket.block_gaps"),
    ],
    "PrefillProgress.first_stamp": [
        ("of a list past 2^64", stamps(3, first=2**64 - 2), None),
        ("without a block", stamps(0), "PrefillProgress.first_stamp"),
    ],
    "PrefillProgress.stamp_runs": [
        ("before the last block", stamps(4, [1, 2], [10, -4]), None),
        ("to the end", stamps(4, [1, 3], [10, -4]), "PrefillProgress.stamp_runs"),
        ("without a block", stamps(0, [1], [1], first=0), "PrefillProgress.stamp_runs"),
        ("with an empty run", stamps(4, [1, 0], [10, -4]), "PrefillProgress.stamp_runs"),
        ("with the largest run", stamps(4, [2**32 - 1] * 2, [1, 1]), "PrefillProgress.stamp_runs"),
        ("without a jump", stamps(4, [1, 1], [10]), "PrefillProgress.stamp_runs"),
    ],
    "PrefillProgress.stamp_jumps": [
        ("of all sizes", stamps(5, [1, 1, 1, 1], [-(2**63), 2**63 - 1, 1, -1]), None),
        ("without a run", stamps(4, [1], [10, 3]), "PrefillProgress.stamp_jumps"),
    ],
}


def texts(limits, label, set_to):
    kind = limits.get("kind")
    if kind == "engine":
        yield "as long as is allowed", set_to("e" * 64), None
        yield "a character too long", set_to("e" * 65), "engine id"
        yield "empty", set_to(""), "engine id"
        yield "with a space", set_to("a b"), "engine id"
        return
    longest = limits.get("longest", MAXIMUM_TEXT)
    yield "as long as is allowed", set_to("x" * longest), None
    yield "a byte too long", set_to("x" * (longest + 1)), label
    if kind == "id" and label.endswith(".request"):
        yield "empty", set_to(""), label


def ranges(field, limits, label, set_to):
    low, high = limits
    smallest, largest = INTEGERS[field.cpp_type]
    # A sum or difference with another field has its own rule.
    if label != "ModelAssetChunk.total_bytes":
        yield f"of {high}", set_to(high), None
    if low > smallest and label != "ModelAssetChunk.total_bytes":
        yield f"of {low - 1}", set_to(low - 1), label
    if high < largest:
        yield f"of {high + 1}", set_to(high + 1), label


def resize(field, count):
    def change(holder):
        values = getattr(holder, field.name)
        while len(values) > count:
            del values[-1]
        while len(values) < count:
            if is_message(field):
                Filler("least", 1).fill(values.add())
            else:
                values.append(values[0])

    return change


def change_bytes(field, value):
    def change(holder):
        if is_list(field):
            getattr(holder, field.name)[0] = value
        else:
            setattr(holder, field.name, value)

    return change


def negative(holder, field):
    getattr(holder, field.name).append(-1)


def past_end(holder, field):
    holder.offset = holder.total_bytes + 1


def not_text(number, types):
    """Each text of the message itself with bytes that are not UTF-8."""
    least = Filler("least", number).fill(types[number]())
    payload = least.SerializeToString(deterministic=True)
    for field in sorted(least.DESCRIPTOR.fields, key=lambda each: each.number):
        if field.type == FieldDescriptor.TYPE_STRING:
            broken = payload + wire.field_bytes(field.number, b"a\xc3\x28")
            name = f"{name_of(field)} that is not UTF-8"
            yield invalid(name, number, broken, "INVALID_ARGUMENT", name_of(field))


def file_of(number, types, covered):
    """All vectors of one message. What lies in several messages is covered in the first of them."""
    least = Filler("least", number).fill(types[number]())
    name = least.DESCRIPTOR.name
    vectors = [valid("the least that is allowed", least, number)]
    if least.DESCRIPTOR.fields:
        message = full(number, types)
        payload = message.SerializeToString(deterministic=True)
        vectors.append(valid("every field", message, number))
        vectors += encodings(number, types)
        found = list(edges(number, types))
        # A message that lies in two places of this one has its edges in the first.
        fresh = [vector for field, vector in found if field not in covered]
        first = {vector["name"]: vector for vector in reversed(fresh)}
        vectors += reversed(first.values())
        covered.update(field for field, _ in found)
        vectors += not_text(number, types)
        code, reason = "MALFORMED_FRAME", "not that protobuf message"
        vectors.append(invalid("cut off by a byte", number, payload[:-1], code, reason))
    return {"message": name, "type": number, "vectors": vectors}


def contents():
    """Every file by its name."""
    types = wire.load()
    covered = set()
    files = {
        "frames.json": wire.text(frame_vectors.file(types)),
        "handshake.json": wire.text(handshake_vectors.file(types)),
    }
    for number in sorted(types):
        content = file_of(number, types, covered)
        words = re.sub(r"(?<!^)(?=[A-Z])", "-", content["message"]).lower()
        files[f"{words}.json"] = wire.text(content)
    return files


def main():
    files = contents()
    present = {path.name: path.read_text() for path in VECTORS.glob("*.json")}
    if sys.argv[1:] == ["--check"]:
        differing = sorted(
            name for name in files | present if files.get(name) != present.get(name)
        )
        if differing:
            sys.exit(f"{', '.join(differing)} in {VECTORS} differ: run Tools/generate-vectors")
        return
    for name in present.keys() - files.keys():
        (VECTORS / name).unlink()
    VECTORS.mkdir(exist_ok=True)
    for name, content in files.items():
        pathlib.Path(VECTORS / name).write_text(content)
    count = sum(content.count('"bytes": "') for content in files.values())
    print(f"{count} vectors in {len(files)} files")


main()

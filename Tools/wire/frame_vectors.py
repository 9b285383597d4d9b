"""The vectors of frames: what every receiver does with a header, a checksum and parts."""

import struct

import baton_wire as wire
from messages import Filler

HELLO, ACKNOWLEDGED, REQUEST, CHUNK = 1, 10, 48, 53


def file(types):
    chunk = types[CHUNK](first_index=1, tokens=[7, 8])
    payload = chunk.SerializeToString(deterministic=True)
    good = wire.frame(CHUNK, payload)
    vectors = [*sound(types, chunk, payload), *malformed(types, payload, good)]
    return {"vectors": [*vectors, *deadlines(types), *compressed(chunk, payload)]}


def message(value, flags=("last",), stream=1):
    header = {"type": value.DESCRIPTOR.name, "flags": list(flags), "stream": str(stream)}
    return header | {"message": wire.meaning(value)}


def vector(name, data, messages=(), canonical=True, **more):
    value = {"name": name, "bytes": data.hex()}
    if not canonical:
        value["canonical"] = False
    return value | ({} if "incomplete" in more else {"messages": list(messages)}) | more


def sound(types, chunk, payload):
    acknowledged = types[ACKNOWLEDGED]()
    for flags in ((), ("last",), ("response",), ("last", "response")):
        data = wire.frame(CHUNK, payload, flags=flags, stream=5)
        name = "flags: " + (" and ".join(flags) or "none")
        yield vector(name, data, [message(chunk, flags, 5)])
    for stream in (0, 2, 2**64 - 1):
        data = wire.frame(CHUNK, payload, stream=stream)
        yield vector(f"stream {stream}", data, [message(chunk, stream=stream)])
    yield vector("an empty payload", wire.frame(ACKNOWLEDGED, b""), [message(acknowledged)])
    two = wire.frame(ACKNOWLEDGED, b"", stream=3) + wire.frame(CHUNK, payload, stream=5)
    messages = [message(acknowledged, stream=3), message(chunk, stream=5)]
    yield vector("two frames, one after the other", two, messages)
    parts = [
        wire.frame(CHUNK, payload[:1], flags=("continues", "response"), stream=1),
        wire.frame(CHUNK, payload[1:3], flags=("continues", "response"), stream=1),
        wire.frame(CHUNK, payload[3:], flags=("last", "response"), stream=1),
    ]
    whole = message(chunk, ("last", "response"), 1)
    yield vector("a message in three parts", b"".join(parts), [whole], canonical=False)
    between = wire.frame(ACKNOWLEDGED, b"", stream=3)
    mixed = parts[0] + between + parts[1] + between + parts[2]
    other = message(acknowledged, stream=3)
    yield vector("another stream's frames between the parts", mixed, [other, other, whole], False)
    ended = wire.frame(CHUNK, payload, flags=("continues",)) + wire.frame(CHUNK, b"")
    yield vector("a last part that is empty", ended, [message(chunk)], canonical=False)
    largest = wire.frame(CHUNK, payload, length=wire.MAXIMUM_PAYLOAD)
    yield vector("the largest length: more bytes are waited for", largest, incomplete=True)
    hello = Filler("least", HELLO).fill(types[HELLO]())
    greeting = wire.frame(HELLO, hello.SerializeToString(deterministic=True), stream=0)
    messages = [message(hello, stream=0)]
    yield vector("a hello in the handshake", greeting, messages, limits="handshake")
    largest = wire.frame(HELLO, b"", stream=0, length=16 << 10)
    name = "the largest length in the handshake"
    yield vector(name, largest, limits="handshake", incomplete=True)
    for length in (0, 1, 23, 24, 24 + len(payload) - 1):
        data = wire.frame(CHUNK, payload)[:length]
        yield vector(f"the first {length} bytes of a frame", data, incomplete=True)


def deadlines(types):
    request = Filler("full", REQUEST).fill(types[REQUEST]())
    payload = request.SerializeToString(deterministic=True)
    flags = ("last", "deadline")
    for milliseconds in (0, 1, 30_000, 2**32 - 1):
        data = wire.frame(REQUEST, struct.pack("<I", milliseconds) + payload, flags=flags)
        wanted = message(request, flags) | {"deadline_milliseconds": milliseconds}
        yield vector(f"a deadline of {milliseconds} ms", data, [wanted])
    for length in range(4):
        data = wire.frame(REQUEST, bytes(length), flags=flags)
        yield bad(f"a deadline of {length} bytes", data, "too short for a deadline")
    part = wire.frame(REQUEST, struct.pack("<I", 5), flags=("continues", "deadline"))
    rest = wire.frame(REQUEST, payload, flags=flags)
    wanted = message(request, flags) | {"deadline_milliseconds": 5}
    yield vector("a deadline in the first part only", part + rest, [wanted], canonical=False)
    data = part + wire.frame(REQUEST, payload)
    yield bad("a part without the deadline's flag", data, f"type {REQUEST}")


def compressed(chunk, payload):
    flags = ("compressed", "last")

    def frame(content, names=flags):
        return wire.frame(CHUNK, content, flags=names)

    sound = wire.uncompressed(payload)
    wanted = [message(chunk, flags)]
    yield vector("compressed", frame(sound), wanted, canonical=False, limits="compressed")
    parts = frame(wire.uncompressed(payload[:2]), ("compressed", "continues"))
    both = parts + wire.frame(CHUNK, payload[2:])
    name = "a part compressed, the other not"
    yield vector(name, both, [message(chunk)], canonical=False, limits="compressed")
    limit = 256 << 10
    for name, content, reason in (
        ("what is no zstd frame", payload, "not one zstd frame"),
        ("nothing", b"", "not one zstd frame"),
        ("a frame that declares too much", wire.uncompressed(payload, limit + 1), "allowed"),
        ("a frame that declares 4 GiB", wire.uncompressed(payload, 2**32 - 1), "allowed"),
        ("a frame that declares nothing inside", wire.uncompressed(b""), "allowed"),
        ("a byte less than declared", wire.uncompressed(payload, len(payload) + 1), "damaged"),
        ("a byte more than declared", wire.uncompressed(payload, len(payload) - 1), "damaged"),
        ("a frame that is cut off", sound[:-1], "zstd frame"),
        ("two zstd frames", sound + sound, "zstd frame"),
    ):
        yield bad(f"compressed: {name}", frame(content), reason, limits="compressed")


def bad(name, data, reason, code="MALFORMED_FRAME", **more):
    return {"name": name, "bytes": data.hex()} | more | {"error": {"code": code, "reason": reason}}


def malformed(types, payload, good):
    acknowledged = types[ACKNOWLEDGED]()
    yield bad("a request of HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "magic")
    yield bad("a wrong magic", wire.frame(CHUNK, payload, magic=b"BATM"), "magic")
    yield bad("a magic in the other byte order", wire.frame(CHUNK, payload, magic=b"NTAB"), "magic")
    for version in (0, 2, 255):
        data = wire.frame(CHUNK, payload, version=version)
        yield bad(f"version {version}", data, f"version is {version}")
    for bit in range(5, 8):
        data = wire.frame(CHUNK, payload, flag_bits=2 | 1 << bit)
        yield bad(f"flag bit {bit}", data, "must be 0")
    data = wire.frame(CHUNK, payload, flags=("compressed", "last"))
    yield bad("compressed, without having agreed on it", data, "compressed")
    data = wire.frame(CHUNK, payload, flags=("last", "continues"))
    yield bad("last and continues at once", data, "goes on")
    data = wire.frame(CHUNK, b"", flags=("continues",))
    yield bad("an empty part that goes on", data, "empty")
    for length in (wire.MAXIMUM_PAYLOAD + 1, 2**31, 2**32 - 1):
        data = wire.frame(CHUNK, payload, length=length)
        yield bad(f"a length of {length}", data, f"{wire.MAXIMUM_PAYLOAD} are allowed")
    data = wire.frame(HELLO, b"", stream=0, length=(16 << 10) + 1)
    yield bad("a length over the handshake's", data, "16384 are allowed", limits="handshake")
    data = wire.frame(HELLO, b"\x0a", flags=("continues",), stream=0)
    yield bad("a handshake in parts", data, "cut in parts", limits="handshake")
    right = int.from_bytes(good[20:24], "little")
    for name, crc in (("0", 0), ("the one with its bits inverted", right ^ 0xFFFFFFFF)):
        yield bad(f"the checksum {name}", wire.frame(CHUNK, payload, crc=crc), "checksum")
    bare = wire.crc32c(payload)
    yield bad("a checksum over the payload alone", wire.frame(CHUNK, payload, crc=bare), "checksum")
    for offset in (6, 8, 24, len(good) - 1):
        changed = bytearray(good)
        changed[offset] ^= 1
        yield bad(f"a changed bit in byte {offset}", bytes(changed), "checksum")
    part = wire.frame(CHUNK, payload[:2], flags=("continues",))
    data = part + wire.frame(ACKNOWLEDGED, b"")
    yield bad("another type inside a message", data, f"type {ACKNOWLEDGED}")
    data = part + wire.frame(CHUNK, payload[2:], flags=("last", "response"))
    yield bad("the other side's frame inside a message", data, f"type {CHUNK}")
    second = wire.frame(ACKNOWLEDGED, b"", stream=3) + wire.frame(CHUNK, payload, crc=0)
    first = message(acknowledged, stream=3)
    yield bad("a sound frame, then one that is not", second, "frame at byte 24 ", messages=[first])
    data = wire.frame(60000, b"")
    yield bad("a type that is not known", data, "60000", code="UNIMPLEMENTED")
    yield bad("type 0", wire.frame(0, b""), "type 0", code="UNIMPLEMENTED")

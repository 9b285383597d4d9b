"""The vectors of the handshake's proofs of the cluster key."""

import hashlib
import hmac
import struct

from messages import Filler


def file(types):
    first, second = bytes(range(32)), bytes(range(100, 164))
    for_each = [
        ("one key", [first]),
        ("two keys, while they are changed", [first, second]),
    ]
    return {"vectors": [vector(name, keys, types) for name, keys in for_each]}


def vector(name, keys, types):
    hellos = [hello(types, seed, engine) for seed, engine in ((1, "decode-0"), (2, "prefill-0"))]
    payloads = [each.SerializeToString(deterministic=True) for each in hellos]
    return {
        "name": name,
        "keys": [key.hex() for key in keys],
        "initiator_hello": payloads[0].hex(),
        "acceptor_hello": payloads[1].hex(),
        "initiator_codes": [code(key, "initiator", payloads) for key in keys],
        "acceptor_codes": [code(key, "acceptor", payloads) for key in keys],
    }


def hello(types, seed, engine):
    message = Filler("full", seed).fill(types[1]())
    message.engine = engine
    del message.versions[:]
    message.versions.append(1)
    del message.features[:]
    message.features.append("cluster-key")
    # Of the roles all but two proxies may meet.
    message.role = seed
    return message


def code(key, side, payloads):
    said = b"".join(struct.pack("<I", len(payload)) + payload for payload in payloads)
    return hmac.new(key, f"baton.v1 {side}".encode() + said, hashlib.sha256).hexdigest()

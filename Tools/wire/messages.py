"""Makes messages that Baton takes from what the protocol allows in each field.

A field that is not in the table may be anything of its type: new ones need an entry only where they
have limits.
"""

import random
import string

from google.protobuf.descriptor import FieldDescriptor

from baton_wire import is_list, is_message

ENGINE_CHARACTERS = string.ascii_letters + string.digits + "._-"
TEXT_CHARACTERS = "abcXYZ 09-_/:.äß漢🙂"
MAXIMUM_TEXT = 1024
MAXIMUM_POOL_BLOCKS = 2**24
MAXIMUM_TICKET_BLOCKS = 2**20

# least, most: elements of a list; as_many_as: another list that it is as long as; bytes: how many
# exactly; range: of numbers, both ends allowed; optional: the message, enum or text may be absent;
# needs: a list without which the number is 0; parts_of: numbers of elements of another list, which
# leave at least one of them;
# kind: what a text or number is beyond its type; named_by: the field that a refusal of an empty
# list names, where that is another.
LIMITS = {
    "Hello.versions": {"most": 16},
    "Hello.engine": {"kind": "engine"},
    "Hello.incarnation": {"range": (1, 2**64 - 1)},
    "Hello.features": {"most": 64},
    "Hello.nonce": {"bytes": 32},
    "Proof.codes": {"most": 2, "least": 1, "bytes": 32},
    "Credit.bytes": {"range": (1, 2**32 - 1)},
    "PeerInfo.model": {"optional": True},
    "PeerInfo.addresses": {"most": 16},
    "PeerInfo.ranks": {"range": (1, 1024)},
    "ModelSummary.fingerprint": {"bytes": 32},
    "ModelSummary.end_tokens": {"most": 1024, "kind": "token"},
    "ModelSummary.pool_blocks": {"range": (0, 2**24)},
    "KVGeometry.block_tokens": {"range": (1, 4096)},
    "KVGeometry.groups": {"most": 64, "least": 1},
    "CacheGroup.layers": {"range": (1, 4096)},
    "CacheGroup.key_value_heads": {"range": (1, 4096)},
    "CacheGroup.head_dimension": {"range": (1, 65536)},
    "Error.message": {"longest": 4096},
    "ModelAssetChunk.sha256": {"bytes": 32},
    "ModelAssetChunk.total_bytes": {"range": (1000, 48 << 20)},
    "ModelAssetChunk.offset": {"kind": "offset"},
    "ModelAssetChunk.data": {"kind": "data"},
    "MetricsReply.families": {"most": 1024},
    "MetricSample.labels": {"most": 64},
    "PrefillRequest.request": {"kind": "id"},
    "PrefillRequest.tokens": {"kind": "token"},
    "DecodeRequest.request": {"kind": "id"},
    "GenerateRequest.request": {"kind": "id"},
    "GenerateRequest.tokens": {"kind": "token"},
    "SamplingParameters.temperature": {"range": (0, 2)},
    "PrefillDone.first_token": {"kind": "token"},
    "PrefillDone.finish": {"optional": True},
    "TokenChunk.tokens": {"kind": "token"},
    "TokenChunk.finish": {"optional": True},
    "TokenChunk.migration": {"optional": True},
    "TextRequest.prompt": {"kind": "utf8"},
    "TextRequest.maximum_tokens": {"range": (1, 2**32 - 1)},
    "TextRequest.temperature": {"range": (0, 2)},
    "TextRequest.stops": {"most": 4, "kind": "id"},
    "TextChunk.text": {"kind": "utf8"},
    "TextChunk.ending": {"optional": True},
    "Ticket.engine": {"kind": "engine"},
    "Ticket.incarnation": {"range": (1, 2**64 - 1)},
    "Ticket.addresses": {"most": 16},
    "Ticket.token_count": {"range": (0, 2**20)},
    # A few of them stay below what all may have.
    "Ticket.block_counts": {"range": (1, MAXIMUM_TICKET_BLOCKS // 8)},
    "Ticket.block_gaps": {"as_many_as": "block_counts", "kind": "gap"},
    "LinkPrepare.engine": {"kind": "engine"},
    "LinkPrepare.addresses": {"most": 16},
    "LinkOpen.endpoints": {"most": 1024},
    "LinkOpened.endpoints": {"most": 1024},
    "SharedMemoryEndpoint.socket_name": {"kind": "id"},
    "SharedMemoryEndpoint.token": {"bytes": 16},
    "SharedMemoryEndpoint.regions": {"most": 1024},
    "EndpointInfo.shared_memory": {"optional": True},
    "EndpointInfo.tcp": {"optional": True},
    "EndpointInfo.rdma": {"optional": True},
    "RDMAEndpoint.ports": {"most": 64},
    "RDMAEndpoint.lanes": {"most": 64},
    "RDMAEndpoint.regions": {"most": 1024},
    "RDMAPort.lid": {"range": (0, 65535)},
    "RDMAPort.mtu": {"range": (256, 4096)},
    "RDMAPort.gids": {"most": 256},
    "RDMAGID.gid": {"bytes": 16},
    "RDMAGID.index": {"range": (0, 255)},
    "RDMAGID.type": {"range": (0, 2)},
    "RDMALane.port": {"range": (0, 63)},
    "RDMALane.queue_pair": {"range": (0, 2**24 - 1)},
    "RDMALane.sequence": {"range": (0, 2**24 - 1)},
    "RDMALane.reads": {"range": (1, 255)},
    "RDMALane.own_gid": {"range": (0, 255)},
    "RDMALane.peer_gid": {"range": (0, 255)},
    "RDMARegion.length": {"range": (0, 2**46)},
    "RDMAEndpoint.proof": {"optional": True},
    "RDMAProof.remote_keys": {"most": 64},
    "RDMAWindow.offset": {"range": (0, 2**46)},
    "RDMAWindow.length": {"range": (0, 2**46)},
    "RDMAWindow.remote_keys": {"most": 64},
    "PrefillProgress.windows": {"most": 64},
    "TCPEndpoint.addresses": {"most": 16, "least": 1, "named_by": "TCPEndpoint.salt"},
    "TCPEndpoint.salt": {"bytes": 32},
    "TCPEndpoint.regions": {"most": 1024},
    "RegionInfo.length": {"range": (0, 2**46)},
    "PrefillProgress.completion": {"optional": True},
    "PrefillProgress.first_stamp": {"needs": "checksums"},
    "PrefillProgress.stamp_runs": {"parts_of": "checksums"},
    "PrefillProgress.stamp_jumps": {"as_many_as": "stamp_runs"},
}

INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def name_of(field):
    return f"{field.containing_type.name}.{field.name}"


def limits_of(field):
    return LIMITS.get(name_of(field), {})


def gaps_inside_pool(ticket):
    """The least and the greatest gap that a ticket's next run can have."""
    run = len(ticket.block_gaps)
    end = sum(ticket.block_counts[:run]) + sum(ticket.block_gaps)
    return -end, MAXIMUM_POOL_BLOCKS - ticket.block_counts[run] - end


class Filler:
    """Fills messages: 'least' sets only what must be there, 'full' every field, 'random' any.

    The same seed makes the same messages.
    """

    def __init__(self, mode, seed=0):
        self.mode = mode
        self.random = random.Random(seed)

    def fill(self, message):
        chosen = {
            oneof.name: self.random.choice(list(oneof.fields))
            for oneof in message.DESCRIPTOR.oneofs
        }
        for field in sorted(message.DESCRIPTOR.fields, key=lambda each: each.number):
            oneof = field.containing_oneof
            if oneof and (chosen[oneof.name] != field or self.leaves_out(oneof)):
                continue
            if is_list(field):
                self.fill_list(message, field)
            elif is_message(field):
                if not self.is_absent(field):
                    getattr(message, field.name).SetInParent()
                    self.fill(getattr(message, field.name))
            else:
                setattr(message, field.name, self.value(field, message))
        return message

    def leaves_out(self, oneof):
        """A oneof of messages says which kind something is; one of a number is a number or none."""
        if is_message(oneof.fields[0]) or self.mode == "full":
            return False
        return self.mode == "least" or self.random.random() < 0.3

    def is_absent(self, field):
        if not limits_of(field).get("optional") or self.mode == "full":
            return False
        return self.mode == "least" or self.random.random() < 0.5

    def fill_list(self, message, field):
        limits = limits_of(field)
        count = {
            "least": limits.get("least", 0),
            "full": 2,
            "random": self.random.randint(limits.get("least", 0), min(5, limits.get("most", 5))),
        }[self.mode]
        if "as_many_as" in limits:
            count = len(getattr(message, limits["as_many_as"]))
        values = getattr(message, field.name)
        if "parts_of" in limits:
            values.extend(self.parts(len(getattr(message, limits["parts_of"])), count))
            return
        for _ in range(count):
            if is_message(field):
                self.fill(values.add())
            else:
                values.append(self.value(field, message))

    def parts(self, whole, count):
        """At most `count` numbers of at least 1, together less than `whole`."""
        ends = sorted(self.random.sample(range(1, whole), max(0, min(count, whole - 1))))
        return [end - start for start, end in zip([0, *ends], ends)]

    def value(self, field, message):
        limits = limits_of(field)
        kind = limits.get("kind")
        if "needs" in limits and not getattr(message, limits["needs"]):
            return 0
        if field.type == FieldDescriptor.TYPE_STRING:
            return self.string(kind)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self.bytes(limits, kind, message)
        if field.type == FieldDescriptor.TYPE_ENUM:
            numbers = [each.number for each in field.enum_type.values if each.number]
            return 0 if self.is_absent(field) else self.random.choice(numbers)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return self.mode == "full" or self.mode == "random" and self.random.random() < 0.5
        if field.cpp_type in INTEGERS:
            return self.integer(field, limits, kind, message)
        low, high = limits.get("range", (-1e6, 1e6))
        # A number of few digits in binary: exact in 32 bits.
        share = 0 if self.mode == "least" else self.random.randint(1, 99) / 128
        return low + (high - low) * share

    def string(self, kind):
        if kind == "engine":
            length = 1 if self.mode == "least" else self.random.randint(1, 64)
            return "".join(self.random.choice(ENGINE_CHARACTERS) for _ in range(length))
        least = 1 if kind == "id" or self.mode == "full" else 0
        length = least if self.mode == "least" else self.random.randint(least, 24)
        return "".join(self.random.choice(TEXT_CHARACTERS) for _ in range(length))

    def bytes(self, limits, kind, message):
        if kind == "data":
            room = message.total_bytes - message.offset
            length = 0 if self.mode == "least" else self.random.randint(0, min(64, room))
        elif kind == "utf8":
            return self.string(None).encode()
        else:
            length = limits.get("bytes", 32)
        return self.random.randbytes(length)

    def integer(self, field, limits, kind, message):
        low, high = limits.get("range", INTEGERS[field.cpp_type])
        if kind == "token":
            low = 0
        if kind == "offset":
            low, high = 0, message.total_bytes
        if kind == "gap":
            low, high = gaps_inside_pool(message)
        if self.mode == "least":
            return max(low, 0)
        # Numbers of all sizes, the ends among them.
        few = min(high, low + 300)
        pick = self.random.random()
        if pick < 0.1:
            # 0 would not be sent.
            return self.random.choice((low, high)) or (high if self.mode == "full" else 0)
        return self.random.randint(low, few if pick < 0.5 else high)

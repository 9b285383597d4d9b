"""The Baton protocol for Python: frames by hand, messages by Google's protobuf.

Shares no code with Sources/: what both agree on is what Protocols/ says.
"""

import json
import pathlib
import struct
import subprocess
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor

PROTOCOLS = pathlib.Path(__file__).resolve().parents[2] / "Protocols"

FLAGS = {"compressed": 1, "last": 2, "response": 4, "continues": 8, "deadline": 16}
HEADER = struct.Struct("<4sBBHQII")
MAXIMUM_PAYLOAD = 256 << 10


def load(protocols=PROTOCOLS):
    """The messages by their number in MessageType: {number: class}."""
    files = sorted(str(path.relative_to(protocols)) for path in protocols.glob("baton/v1/*.proto"))
    with tempfile.NamedTemporaryFile() as compiled:
        command = ["protoc", f"--proto_path={protocols}", f"--descriptor_set_out={compiled.name}"]
        subprocess.run(command + ["--include_imports", *files], check=True)
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(compiled.read())
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.AddSerializedFile(file.SerializeToString())
    types = {}
    for value in pool.FindEnumTypeByName("baton.v1.MessageType").values:
        if value.number:
            # MESSAGE_TYPE_TOKEN_CHUNK is the message TokenChunk.
            words = value.name.removeprefix("MESSAGE_TYPE_").split("_")
            name = "".join(word.capitalize() for word in words)
            descriptor = pool.FindMessageTypeByName(f"baton.v1.{name}")
            types[value.number] = message_class(descriptor)
    return types


def message_class(descriptor):
    # Version 4.22 of the package renamed it.
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(descriptor.file.pool).GetPrototype(descriptor)


def crc32c(data):
    """RFC 3720, section 12.1, one bit at a time through a table of bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def crc_table_entry(byte):
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


CRC_TABLE = [crc_table_entry(byte) for byte in range(256)]


def frame(number, payload, flags=("last",), stream=1, magic=b"BATN", version=1, **wrong):
    """One frame; `length`, `crc` and `flag_bits` say what is not so."""
    bits = wrong.get("flag_bits", sum(FLAGS[name] for name in flags))
    length = wrong.get("length", len(payload))
    header = HEADER.pack(magic, version, bits, number, stream, length, 0)[:20]
    crc = wrong.get("crc", crc32c(header + payload))
    return header + struct.pack("<I", crc) + payload


def frames(data):
    """The frames of `data`: (number, flag names, stream, payload) each. All must be intact."""
    while data:
        magic, version, bits, number, stream, length, crc = HEADER.unpack_from(data)
        payload = data[24 : 24 + length]
        assert (magic, version) == (b"BATN", 1), data[:24].hex()
        assert len(payload) == length <= MAXIMUM_PAYLOAD
        assert crc == crc32c(data[:20] + payload), "the checksum does not match"
        yield number, [name for name, bit in FLAGS.items() if bits & bit], stream, payload
        data = data[24 + length :]


def uncompressed(content, declared=None):
    """A zstd frame (RFC 8878, 3.1.1) of one segment whose one block is not compressed."""
    size = len(content) if declared is None else declared
    # Single segment, the content's size in 4 bytes, no dictionary, no checksum.
    header = b"\x28\xb5\x2f\xfd" + b"\xa0" + struct.pack("<I", size)
    return header + struct.pack("<I", len(content) << 3 | 1)[:3] + content


def is_list(field):
    if hasattr(field, "is_repeated"):
        return field.is_repeated
    return field.label == FieldDescriptor.LABEL_REPEATED


def is_message(field):
    return field.type == FieldDescriptor.TYPE_MESSAGE


def meaning(message):
    """The message as JSON values, in the form of `baton wire decode`."""
    value = {}
    for field in sorted(message.DESCRIPTOR.fields, key=lambda each: each.number):
        content = getattr(message, field.name)
        if is_list(field):
            value[field.name] = [scalar(field, each) for each in content]
        elif field.containing_oneof or is_message(field):
            if message.HasField(field.name):
                value[field.name] = scalar(field, content)
        else:
            value[field.name] = scalar(field, content)
    return value


def scalar(field, value):
    wide = FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64
    if is_message(field):
        return meaning(value)
    if field.type == FieldDescriptor.TYPE_ENUM:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    if field.type == FieldDescriptor.TYPE_BYTES:
        return value.hex()
    if field.cpp_type in wide:
        return str(value)
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return shortest_float(value)
    return value


def shortest_float(value):
    """The number with the fewest digits that is this one in 32 bits."""
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if struct.pack("<f", float(text)) == struct.pack("<f", value):
            return float(text)
    return value


def varint(number):
    encoded = b""
    while number >= 0x80:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def field_bytes(number, content):
    """A field of the encoding by hand: an int as a varint, bytes length-delimited."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def alone(message, field):
    """The encoding of one field."""
    copy = type(message)()
    copy.CopyFrom(message)
    for other, _ in message.ListFields():
        if other.number != field.number:
            copy.ClearField(other.name)
    return copy.SerializeToString(deterministic=True)


def text(value):
    """JSON for people, the same for the same value."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

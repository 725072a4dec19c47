"""Prints the scalars of an event file as JSON: read by TensorBoard where Python has it, else by Google's protobuf.

Usage: read_events.py FILE FOLDER_WITH_event_pb2
"""
import json
import struct
import sys


def crc32c(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def by_protobuf(path, folder):
    sys.path.insert(0, folder)
    import event_pb2

    with open(path, "rb") as file:
        while head := file.read(12):
            (length,), (check,) = struct.unpack("<Q", head[:8]), struct.unpack("<I", head[8:])
            data = file.read(length)
            assert check == masked(head[:8]) and struct.unpack("<I", file.read(4))[0] == masked(data)
            event = event_pb2.Event()
            event.ParseFromString(data)
            assert not event.UnknownFields() if hasattr(event, "UnknownFields") else True
            if event.WhichOneof("what") == "file_version":
                assert event.file_version == "brain.Event:2"
            for value in event.summary.value:
                yield value.tag, event.step, event.wall_time, value.simple_value


def by_tensorboard(path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(path, size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            yield tag, event.step, event.wall_time, event.value


def main():
    path, folder = sys.argv[1:]
    try:
        import tensorboard.backend  # noqa: F401
        reader, rows = "tensorboard", list(by_tensorboard(path))
    except ImportError:
        reader, rows = "protobuf", list(by_protobuf(path, folder))
    print(json.dumps({"reader": reader, "scalars": rows}))


main()

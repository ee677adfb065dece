"""Frames as bytes: msgpack, within bounds that no node has to exceed."""
from collections.abc import Iterable
from typing import Any, Final

import msgpack

from emqtwist.core.cluster.frames import BadFrame, Frame
from emqtwist.mqtt.constants import MAX_PACKET

LARGEST: Final = MAX_PACKET + (1 << 20)  # bytes of a frame: the largest message, and what goes with it
LONGEST: Final = 16_384  # entries of a tuple; they are made before their contents come

_packer: Final = msgpack.Packer(use_bin_type=True)


def pack(frame: Frame) -> bytes:
    """The bytes of a frame."""
    packed: bytes = _packer.pack(frame)
    return packed


class Unpacking:
    """Takes pieces of a stream, cut anywhere, and gives the frames that are complete."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._unpacker: Any = msgpack.Unpacker(use_list=False, raw=False, max_buffer_size=largest, max_str_len=largest,
                                               max_bin_len=largest, max_array_len=LONGEST, max_map_len=0, max_ext_len=0)

    def feed(self, data: bytes) -> Iterable[object]:
        """What is complete with `data`; BadFrame when this is not msgpack, or exceeds a bound."""
        try:
            self._unpacker.feed(data)
            return list(self._unpacker)
        except (msgpack.UnpackException, ValueError, RecursionError) as error:
            raise BadFrame(f"not to be unpacked: {error or type(error).__name__}") from None

"""A slow link: takes the TCP connections that a host's own packet filter turns to it, and passes everything on late.

Run in the network namespace of the host that connects. Every chunk arrives `delay` seconds later, in both directions.
The peer sees the host's own address.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import struct

SO_ORIGINAL_DST = 80
#: our own connections carry this mark, by which the packet filter lets them pass
MARK = 0x5


def original_destination(connection: socket.socket) -> tuple[str, int]:
    """Where the host wanted to connect to before the packet filter turned it to us."""
    raw = connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    port, address = struct.unpack("!2xH4s8x", raw)
    return socket.inet_ntoa(address), port


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Copy until the end of file, each chunk `delay` seconds after it came; later chunks do not wait for earlier ones' delay."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=256)

    async def feed() -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                await queue.put((loop.time() + delay, chunk))
        await queue.put((loop.time() + delay, b""))

    feeding = asyncio.create_task(feed())
    with contextlib.suppress(OSError):
        while True:
            due, chunk = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not chunk:
                writer.write_eof()
                break
            writer.write(chunk)
            await writer.drain()
    feeding.cancel()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    target = original_destination(writer.get_extra_info("socket"))
    outgoing = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    outgoing.setblocking(False)
    outgoing.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
    try:
        await asyncio.get_running_loop().sock_connect(outgoing, target)
    except OSError:
        outgoing.close()
        writer.transport.abort()
        return
    far_reader, far_writer = await asyncio.open_connection(sock=outgoing)
    await asyncio.gather(pass_on(reader, far_writer, delay), pass_on(far_reader, writer, delay))
    for end in (writer, far_writer):
        end.close()


async def serve(port: int, delay: float) -> None:
    server = await asyncio.start_server(lambda reader, writer: relay(reader, writer, delay), "0.0.0.0", port)
    print("ready", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.delay))


if __name__ == "__main__":
    main()

"""A long or bad line between two network devices: every packet takes longer, some are lost.

Makes the TUN devices `toclient` and `eth0` in the namespace it runs in and copies packets between them, in both directions.
Arguments: delay in milliseconds, loss in percent; a line `delay loss` on standard input changes both.
"""

import collections
import fcntl
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000


def open_tun(name):
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        sys.exit(
            f"NO DEVICE CAN BE MADE WITH /dev/net/tun: {error}. The tests of a bad line need it: "
            "load the module tun, and run in a container with --privileged or --device=/dev/net/tun."
        )
    return device


def write(device, packet):
    try:
        os.write(device, packet)
    except OSError:
        pass  # The other end is down: a wire loses what nobody takes.


def main():
    delay, loss = int(sys.argv[1]) / 1000, int(sys.argv[2]) / 100
    # A wire is not slower where the machine is busy; and what strays teaches TCP to wait for longer.
    os.setpriority(os.PRIO_PROCESS, 0, -15)
    here, there = open_tun("toclient"), open_tun("eth0")
    other_end = {here: there, there: here}
    print(json.dumps({"event": "ready"}), flush=True)
    under_way = collections.deque()
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        for ready in select.select([here, there, sys.stdin], [], [], wait)[0]:
            if ready is sys.stdin:
                line = sys.stdin.readline()
                if not line:
                    return
                delay, loss = (float(word) / scale for word, scale in zip(line.split(), (1000, 100)))
                print(json.dumps({"event": "tuned"}), flush=True)
                continue
            try:
                packet = os.read(ready, 65536)
            except OSError:
                continue
            if random.random() >= loss:
                under_way.append((time.monotonic() + delay, other_end[ready], packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, device, packet = under_way.popleft()
            write(device, packet)


main()

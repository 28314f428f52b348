"""Makes the connection tracking of its network namespace forget flows, by netlink: what conntrack(8) does with -F and -D.

  all                                  every flow
  SOURCE DESTINATION PORT [PORT ...]   those TCP flows: address, address:port, and the ports that they come from

Prints how many flows were forgotten; one that is not known any more is none.
"""

import errno
import json
import os
import socket
import struct
import sys

NETLINK_NETFILTER = 12
NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE = 1, 2
NLM_F_REQUEST, NLM_F_ACK = 1, 4
NLMSG_ERROR = 2
NLA_F_NESTED = 0x8000
CTA_TUPLE_ORIG = 1
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_IP_V4_SRC, CTA_IP_V4_DST = 1, 2
CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT = 1, 2, 3


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind, *attributes):
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def flow(source, destination, port, to_port):
    return nested(
        CTA_TUPLE_ORIG,
        nested(
            CTA_TUPLE_IP,
            attribute(CTA_IP_V4_SRC, socket.inet_aton(source)),
            attribute(CTA_IP_V4_DST, socket.inet_aton(destination)),
        ),
        nested(
            CTA_TUPLE_PROTO,
            attribute(CTA_PROTO_NUM, struct.pack("B", socket.IPPROTO_TCP)),
            attribute(CTA_PROTO_SRC_PORT, struct.pack("!H", port)),
            attribute(CTA_PROTO_DST_PORT, struct.pack("!H", to_port)),
        ),
    )


def delete(netlink, which):
    """Forgets the flow of these attributes, or all where there is none; gives whether there was one."""
    body = struct.pack("=BBH", socket.AF_INET, 0, 0) + which
    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE
    netlink.send(struct.pack("=IHHII", 16 + len(body), kind, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body)
    answer = netlink.recv(65536)
    _, kind, _, _, _, error = struct.unpack_from("=IHHIIi", answer)
    if kind != NLMSG_ERROR or error not in (0, -errno.ENOENT):
        raise OSError(-error, os.strerror(-error))
    return error == 0


def main():
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    netlink.bind((0, 0))
    if sys.argv[1:] == ["all"]:
        delete(netlink, b"")
        print(json.dumps({"event": "forgotten"}))
        return
    source, destination, *ports = sys.argv[1:]
    address, to_port = destination.split(":")
    count = sum(delete(netlink, flow(source, address, int(port), int(to_port))) for port in ports)
    print(json.dumps({"event": "forgotten", "flows": count}))


main()

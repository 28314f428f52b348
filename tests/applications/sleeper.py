"""Sessions that sleep and work in turn, as an application's do: over TCP, with keepalive or without, or over the Unix socket."""

import argparse
import json
import os
import socket
import threading
import time

import pymysql


def say(event, **facts):
    """Prints one event; in one write, so that lines of several threads never mix."""
    os.write(1, (json.dumps({"event": event, **facts}, default=str) + "\n").encode())


def connect(options):
    """One session."""
    where = {"unix_socket": options.socket} if options.socket else {"host": options.host, "port": options.port}
    timeout = options.read_timeout or None
    connection = pymysql.connect(user=options.user, password=options.password, read_timeout=timeout, **where)
    if options.keepalive:
        tcp = connection._sock
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, options.keepalive)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, options.keepalive)
    say("connected", id=connection.thread_id())
    return connection


def live(options):
    """Sleeps, works, and takes a new session where the old one is lost."""
    connection = connect(options)
    while True:
        time.sleep(options.sleep)
        if options.quit:
            connection.close()
            return say("quit")
        try:
            connection.cursor().execute("SELECT 1")
            say("woke", id=connection.thread_id())
        except pymysql.err.OperationalError as error:
            say("error", code=error.args[0])
            connection = connect(options)


arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--host", default="127.0.0.1")
arguments.add_argument("--port", type=int, default=3306)
arguments.add_argument("--socket")
arguments.add_argument("--user", default="app")
arguments.add_argument("--password", default="canary-secret")
arguments.add_argument("--sessions", type=int, default=1)
arguments.add_argument("--sleep", type=float, default=18, metavar="SECONDS")
arguments.add_argument("--keepalive", type=int, metavar="SECONDS", help="TCP keepalive so often (default: none)")
arguments.add_argument("--read-timeout", type=int, metavar="SECONDS")
arguments.add_argument("--quit", action="store_true", help="says COM_QUIT after the first sleep")
chosen = arguments.parse_args()
threads = [threading.Thread(target=live, args=(chosen,)) for _ in range(chosen.sessions)]
for thread in threads:
    thread.start()

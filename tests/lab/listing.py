"""Watches which sessions of one user a MariaDB lists, and since and until when, by the clock of this machine.

Arguments: the server's Unix socket, the user. Each line on standard input is answered with all sessions so far.
"""

import json
import select
import sys
import time

import pymysql

EVERY = 0.03


def main():
    socket, user = sys.argv[1:]
    connection = pymysql.connect(unix_socket=socket, user="root", autocommit=True)
    first, last = {}, {}
    print(json.dumps({"event": "ready"}), flush=True)
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s", (user,))
            now = time.time()
            listed = {row[0] for row in cursor.fetchall()}
        for session in listed:
            first.setdefault(session, now)
            last[session] = now
        if select.select([sys.stdin], [], [], EVERY)[0]:
            if not sys.stdin.readline():
                return
            sessions = [{"id": session, "since": first[session], "until": last[session]} for session in first]
            print(json.dumps({"event": "sessions", "sessions": sessions}), flush=True)


main()

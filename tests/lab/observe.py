"""What an application sees of its MySQL connection, by PyMySQL alone: the ground truth of the lab's own tests.

  idle SECONDS     logs in, sends nothing for that long, then queries: alive or lost
  watch SECONDS    logs in and watches the socket: how and at which age the other side ends it
  query SQL        logs in and runs one query
"""

import argparse
import json
import select
import sys
import time

import pymysql


def say(event, **facts):
    print(json.dumps({"event": event, **facts}, default=str), flush=True)


def query(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def idle(connection, seconds):
    time.sleep(float(seconds))
    asked = time.monotonic()
    try:
        query(connection, "SELECT 1")
    except pymysql.err.OperationalError as error:
        code, message = error.args
        cause = type(error.__cause__ or error.__context__).__name__
        say("lost", code=code, message=message, cause=cause, after=time.monotonic() - asked)
    else:
        say("alive", after=time.monotonic() - asked)


def watch(connection, seconds):
    born = time.monotonic()
    sock = connection._sock
    received = b""
    while True:
        readable, _, _ = select.select([sock], [], [], born + float(seconds) - time.monotonic())
        age = time.monotonic() - born
        if not readable:
            return say("survived", age=age)
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            return say("ended", how="reset", age=age, received=received.hex())
        if not data:
            return say("ended", how="fin", age=age, received=received.hex())
        received += data


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["idle", "watch", "query"])
    parser.add_argument("detail")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3306)
    parser.add_argument("--user", default="canary")
    parser.add_argument("--password", default="canary-secret")
    parser.add_argument("--read-timeout", type=float)
    parser.add_argument("--first", metavar="SQL", help="run this before anything else")
    parser.add_argument("--tls-ca", help="verify the server's certificate and name with this authority")
    parser.add_argument("--plain", action="store_true", help="never speak TLS")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        connection = pymysql.connect(
            host=options.host,
            port=options.port,
            user=options.user,
            password=options.password,
            read_timeout=options.read_timeout,
            ssl_ca=options.tls_ca,
            ssl_verify_identity=True if options.tls_ca else None,
            ssl_disabled=options.plain,
        )
    except pymysql.err.MySQLError as error:
        say("refused", code=error.args[0], message=error.args[1] if len(error.args) > 1 else "")
        return
    say("connected", id=connection.thread_id(), version=connection.get_server_info(), after=time.monotonic() - began)
    if options.first:
        query(connection, options.first)
        say("begun")
    if options.what == "query":
        say("rows", rows=query(connection, options.detail))
    else:
        {"idle": idle, "watch": watch}[options.what](connection, options.detail)
    # Without a goodbye: what the server makes of it is the test's business.
    sys.stdout.flush()


main()

"""A service with a pool of connections and a call every now and then: SQLAlchemy's own pool, or one that retires
connections as HikariCP does: at `maxLifetime` less up to 2.5 %, also while they rest."""

import argparse
import json
import os
import random
import threading
import time

import pymysql
import sqlalchemy


def say(event, **facts):
    """Prints one event."""
    os.write(1, (json.dumps({"event": event, **facts}, default=str) + "\n").encode())


def sqlalchemy_pool(options):
    """Looks at a connection's age when it lends it. LIFO, as QueuePool is not by default: one connection is used."""
    url = sqlalchemy.URL.create("mysql+pymysql", options.user, options.password, options.host, options.port)
    engine = sqlalchemy.create_engine(url, pool_size=1, pool_recycle=options.lifetime or -1)

    def call():
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))

    return call


def hikari_pool(options):
    """Connections that end at their own time, each replaced by another."""
    lock, resting = threading.Lock(), []

    def fill():
        connection = pymysql.connect(
            user=options.user, password=options.password, host=options.host, port=options.port
        )
        with lock:
            resting.append(connection)
        lifetime = options.lifetime * (1 - random.random() * 0.025)
        timer = threading.Timer(lifetime, retire, (connection,))
        timer.daemon = True
        timer.start()

    def retire(connection):
        with lock:
            lent = connection not in resting
            if not lent:
                resting.remove(connection)
        if lent:
            connection.retired = True
        else:
            connection.close()
        fill()

    def call():
        with lock:
            connection = resting.pop(0)
        connection.cursor().execute("SELECT 1")
        if getattr(connection, "retired", False):
            connection.close()
        else:
            with lock:
                resting.append(connection)

    for _ in range(options.size):
        fill()
    return call


arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--host", default="127.0.0.1")
arguments.add_argument("--port", type=int, default=3306)
arguments.add_argument("--user", default="app")
arguments.add_argument("--password", default="canary-secret")
arguments.add_argument("--kind", choices=["sqlalchemy", "hikari"], default="sqlalchemy")
arguments.add_argument("--size", type=int, default=2)
arguments.add_argument("--lifetime", type=float, default=0, metavar="SECONDS", help="0: for ever")
arguments.add_argument("--every", type=float, default=1, metavar="SECONDS", help="a call so often")
chosen = arguments.parse_args()
call = {"sqlalchemy": sqlalchemy_pool, "hikari": hikari_pool}[chosen.kind](chosen)
while True:
    call()
    say("call")
    time.sleep(chosen.every)

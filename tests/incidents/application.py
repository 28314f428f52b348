"""What the applications of the incidents have in common: arguments, the engine, other requests, and events on standard output."""

import argparse
import json
import os
import threading
import time

import sqlalchemy
from sqlalchemy.pool import NullPool


def say(event, **facts):
    """Prints one event; in one write, so that lines of several processes never mix."""
    os.write(1, (json.dumps({"event": event, **facts}, default=str) + "\n").encode())


def say_error(error, **facts):
    """Prints an error with the code and message the driver gave it, where it gave one."""
    code, message = 0, str(error)
    if isinstance(error, sqlalchemy.exc.DBAPIError) and len(error.orig.args) > 1:
        code, message = error.orig.args[:2]
    say("error", code=code, message=message, type=type(error).__name__, **facts)


def parser(description):
    """The arguments every application takes; each adds its own."""
    arguments = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=3306)
    arguments.add_argument("--user", default="app")
    arguments.add_argument("--password", default="canary-secret")
    arguments.add_argument("--database", default="app")
    arguments.add_argument("--pool-recycle", type=float, default=-1, metavar="SECONDS", help="-1: never (default)")
    arguments.add_argument("--pool-size", type=int, default=5)
    arguments.add_argument("--pre-ping", action="store_true", help="SQLAlchemy's own: asks at checkout")
    arguments.add_argument("--null-pool", action="store_true", help="a new connection for every session")
    arguments.add_argument("--read-timeout", type=float, metavar="SECONDS", help="PyMySQL's; without it a read waits for ever")
    return arguments


def add_traffic(arguments):
    """The argument of those that have other requests beside the one that fails."""
    arguments.add_argument("--traffic", type=float, metavar="SECONDS", help="an ordinary request so often (default: none)")


def start_traffic(database, options):
    """Other requests: short, and through the same pool, which lends its connections in turn. None that is returned rests long."""

    def run():
        while True:
            time.sleep(options.traffic)
            try:
                with database.connect() as connection:
                    connection.execute(sqlalchemy.text("SELECT 1"))
            except Exception as error:
                say_error(error, request="other")

    if options.traffic:
        threading.Thread(target=run, daemon=True).start()


def engine(options):
    """The engine as the users had it, but for what the arguments say."""
    url = sqlalchemy.URL.create(
        "mysql+pymysql", options.user, options.password, options.host, options.port, options.database
    )
    connect = {"read_timeout": options.read_timeout} if options.read_timeout else {}
    if options.null_pool:
        return sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=connect)
    return sqlalchemy.create_engine(
        url,
        pool_size=options.pool_size,
        pool_recycle=options.pool_recycle,
        pool_pre_ping=options.pre_ping,
        connect_args=connect,
    )

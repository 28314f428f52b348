"""Workers of an asynchronous service take sessions of their own and never return them: 2006 or 2013 after every quiet time.

pool_recycle is set and a listener pings at every checkout, and neither does anything: both look at a connection when it is checked
out, and these were checked out once, when the worker started. After the error the session wants a rollback first, so the worker's next
request fails too. With --return-sessions each job takes a session and gives it back: healed.

With --before-fork the session that each worker takes for its own was taken before the workers were forked, as a server does that
loads the application first: all of them talk over one connection, and one reads what another asked for. PyMySQL then says 2014,
for COMMIT was answered with a row, or 2006 and 2013, for the one that saw that has closed the connection.

Events: job (worker), error (worker), rest (worker), ping (worker; the listener found a dead connection). Runs until killed.
"""

import asyncio
import multiprocessing
import os

import pymysql
from sqlalchemy import event, exc, text
from sqlalchemy.orm import Session

from application import add_traffic, engine, parser, say, say_error, start_traffic


def ping_at_checkout(database):
    @event.listens_for(database, "checkout")
    def ping(connection, record, proxy):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except pymysql.MySQLError:
            say("ping", worker=os.getpid())
            raise exc.DisconnectionError from None


def count_jobs(session):
    return session.execute(text("SELECT COUNT(*) FROM information_schema.TABLES")).scalar()


def take_session(options):
    database = engine(options)
    ping_at_checkout(database)
    return Session(database)


async def work(options, parent, own_session):
    own_session = own_session or take_session(options)
    database = own_session.get_bind()
    start_traffic(database, options)
    while os.getppid() == parent:
        try:
            if options.return_sessions:
                with Session(database) as session:
                    count_jobs(session)
            else:
                count_jobs(own_session)
                if options.before_fork:
                    own_session.commit()
        except Exception as error:
            say_error(error, worker=os.getpid())
        else:
            say("job", worker=os.getpid())
        say("rest", worker=os.getpid())
        await sleep(options.quiet, parent)


async def sleep(seconds, parent):
    """Sleeps in pieces, to end with the parent."""
    while seconds > 0 and os.getppid() == parent:
        await asyncio.sleep(min(seconds, 0.2))
        seconds -= 0.2


def run_worker(options, parent, own_session):
    asyncio.run(work(options, parent, own_session))


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--quiet", type=float, default=36000, metavar="SECONDS", help="the time between two jobs of a worker")
    arguments.add_argument("--return-sessions", action="store_true", help="healed: a session for each job")
    arguments.add_argument("--before-fork", action="store_true", help="one session, taken and used before the workers start")
    add_traffic(arguments)
    options = arguments.parse_args()
    own_session = None
    if options.before_fork:
        own_session = take_session(options)
        count_jobs(own_session)
    context = multiprocessing.get_context("fork")
    worker = (options, os.getpid(), own_session)
    workers = [context.Process(target=run_worker, args=worker) for _ in range(options.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


main()

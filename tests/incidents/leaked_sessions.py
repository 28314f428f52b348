"""Workers of an asynchronous service take sessions of their own and never return them: 2006 or 2013 after every quiet time.

pool_recycle is set and a listener pings at every checkout, and neither does anything: both look at a connection when it is checked
out, and these were checked out once, when the worker started. After the error the session wants a rollback first, so the worker's next
request fails too. With --return-sessions each job takes a session and gives it back: healed.

Events: job (worker), error (worker), ping (worker; the listener found a dead connection). Runs until killed.
"""

import asyncio
import multiprocessing
import os

import pymysql
from sqlalchemy import event, exc, text
from sqlalchemy.orm import Session

from application import engine, parser, say, say_error


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


async def work(options, parent):
    database = engine(options)
    ping_at_checkout(database)
    own_session = Session(database)
    while os.getppid() == parent:
        try:
            if options.return_sessions:
                with Session(database) as session:
                    count_jobs(session)
            else:
                count_jobs(own_session)
        except Exception as error:
            say_error(error, worker=os.getpid())
        else:
            say("job", worker=os.getpid())
        await sleep(options.quiet, parent)


async def sleep(seconds, parent):
    """Sleeps in pieces, to end with the parent."""
    while seconds > 0 and os.getppid() == parent:
        await asyncio.sleep(min(seconds, 0.2))
        seconds -= 0.2


def run_worker(options, parent):
    asyncio.run(work(options, parent))


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--quiet", type=float, default=36000, metavar="SECONDS", help="the time between two jobs of a worker")
    arguments.add_argument("--return-sessions", action="store_true", help="healed: a session for each job")
    options = arguments.parse_args()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=run_worker, args=(options, os.getpid())) for _ in range(options.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


main()

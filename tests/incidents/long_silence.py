"""Nobody asks for longer than wait_timeout, overnight for instance; the first request of the morning fails: 2006 or 2013.

Where a firewall forgot the flow, the first request does not fail, it hangs: PyMySQL has no read timeout of its own.
--pool-recycle below wait_timeout heals it. With --day requests come often for so long before each silence.

Events: asking, answered (took), error (took), silence (nobody asks from now on). Runs until killed.
"""

import time

from sqlalchemy import text

from application import engine, parser, say, say_error


def ask(database):
    say("asking")
    asked = time.monotonic()
    try:
        with database.connect() as connection:
            connection.execute(text("SELECT 1"))
    except Exception as error:
        say_error(error, took=time.monotonic() - asked)
    else:
        say("answered", took=time.monotonic() - asked)


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--silence", type=float, default=36000, metavar="SECONDS", help="the time in which nobody asks")
    arguments.add_argument("--day", type=float, default=0, metavar="SECONDS", help="the time before it (default: one request)")
    arguments.add_argument("--every", type=float, default=60, metavar="SECONDS", help="the time between two requests of a day")
    options = arguments.parse_args()
    database = engine(options)
    while True:
        evening = time.monotonic() + options.day
        ask(database)
        while time.monotonic() + options.every < evening:
            time.sleep(options.every)
            ask(database)
        say("silence")
        time.sleep(options.silence)


main()

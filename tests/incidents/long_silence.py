"""Nobody asks for longer than wait_timeout, overnight for instance; the first request of the morning fails: 2006 or 2013.

Where a firewall forgot the flow, the first request does not fail, it hangs: PyMySQL has no read timeout of its own.
--pool-recycle below wait_timeout heals it.

Events: asking, answered (took), error (took). Runs until killed.
"""

import time

from sqlalchemy import text

from application import engine, parser, say, say_error


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--silence", type=float, default=36000, metavar="SECONDS", help="the time between two requests")
    options = arguments.parse_args()
    database = engine(options)
    while True:
        say("asking")
        asked = time.monotonic()
        try:
            with database.connect() as connection:
                connection.execute(text("SELECT 1"))
        except Exception as error:
            say_error(error, took=time.monotonic() - asked)
        else:
            say("answered", took=time.monotonic() - asked)
        time.sleep(options.silence)


main()

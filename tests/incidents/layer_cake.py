"""Devices call a service, and now and then a call fails with 2013: three clocks in a row, each set by somebody else.

The firewall forgets a flow after an hour, the kernel's first keepalive comes after two, the server waits eight, the pool never
recycles. The pool hands out its connections in turn: after a busy moment with several devices, a single device that calls all the
time still leaves each connection idle for (connections x interval). One error makes SQLAlchemy drop the whole pool, so all is well
for a while: the errors come and go. --pool-recycle below the firewall's limit heals it, one above does not.

Events: call (idle, took), error (idle, took), where idle is the time since that connection's last call. Runs until killed.
"""

import threading
import time

from sqlalchemy import text

from application import engine, parser, say, say_error


class Service:
    def __init__(self, database):
        self.database = database
        self.last_use = {}

    def call(self, hold=0.0):
        asked = time.monotonic()
        idle = None
        try:
            with self.database.connect() as connection:
                wire = connection.connection.dbapi_connection
                idle = asked - self.last_use.get(id(wire), asked)
                connection.execute(text("SELECT 1"))
                time.sleep(hold)
                self.last_use[id(wire)] = time.monotonic()
        except Exception as error:
            say_error(error, idle=idle, took=time.monotonic() - asked)
        else:
            say("call", idle=idle, took=time.monotonic() - asked - hold)


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--devices", type=int, default=3, help="how many call at once in a busy moment")
    arguments.add_argument("--every", type=float, default=1500, metavar="SECONDS", help="how often one device calls between them")
    arguments.add_argument("--busy-every", type=int, default=4, metavar="CALLS", help="a busy moment after so many calls")
    options = arguments.parse_args()
    service = Service(engine(options))
    while True:
        devices = [threading.Thread(target=service.call, args=(0.5,)) for _ in range(options.devices)]
        for device in devices:
            device.start()
        for device in devices:
            device.join()
        for _ in range(options.busy_every):
            time.sleep(options.every)
            service.call()


main()

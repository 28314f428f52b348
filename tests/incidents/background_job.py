"""A web endpoint hands its database session to a background task that downloads for half an hour, then commits: error 2013.

POST /import takes a session, notes the job in it, answers 202 and leaves the rest to a background task with that same session.
No pool setting helps: the session is checked out all the while, and pools look at connections only when they are checked out.
With --fresh-session the task takes a session of its own after the download: healed.

Events: listening (port), started, downloaded, committed, error. Runs until killed.
"""

import http.server
import threading
import time

from sqlalchemy import text
from sqlalchemy.orm import Session

from application import add_traffic, engine, parser, say, say_error, start_traffic


def finish_job(session, job):
    session.execute(text("UPDATE job SET state = 'done' WHERE id = :id"), {"id": job})
    session.commit()


def background_task(database, session, job, options):
    time.sleep(options.download)
    say("downloaded", job=job)
    try:
        if options.fresh_session:
            with Session(database) as fresh:
                finish_job(fresh, job)
        else:
            finish_job(session, job)
            session.close()
    except Exception as error:
        say_error(error, job=job)
    else:
        say("committed", job=job)


def make_handler(database, options):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            session = Session(database)
            job = session.execute(text("INSERT INTO job (state) VALUES ('running')")).lastrowid
            session.commit()
            if options.fresh_session:
                session.close()
            else:
                # The endpoint looks the job up once more: the session takes its connection again and keeps it.
                session.execute(text("SELECT state FROM job WHERE id = :id"), {"id": job})
            threading.Thread(target=background_task, args=(database, session, job, options), daemon=True).start()
            say("started", job=job)
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_):
            pass

    return Handler


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--download", type=float, default=1800, metavar="SECONDS", help="how long the download takes")
    arguments.add_argument("--fresh-session", action="store_true", help="healed: a session of its own after the download")
    arguments.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS")
    add_traffic(arguments)
    options = arguments.parse_args()
    database = engine(options)
    with Session(database) as session:
        session.execute(text("CREATE TABLE IF NOT EXISTS job (id INT AUTO_INCREMENT PRIMARY KEY, state TEXT)"))
        session.commit()
    start_traffic(database, options)
    server = http.server.ThreadingHTTPServer((options.listen, 0), make_handler(database, options))
    say("listening", port=server.server_port)
    server.serve_forever()


main()

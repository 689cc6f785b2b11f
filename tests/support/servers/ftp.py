"""pyftpdlib on a folder: ftp.py PORT HOME USER PASSWORD [CERTIFICATE KEY]. With a certificate nobody logs in or transfers in clear."""

import logging
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

port, home, user, password = sys.argv[1:5]
logging.basicConfig(level=logging.INFO)
users = DummyAuthorizer()
users.add_user(user, password, home, perm="elradfmwMT")
users.add_user("reader", password, home, perm="elr")
kind = FTPHandler
if len(sys.argv) > 5:
    kind = TLS_FTPHandler
    kind.certfile, kind.keyfile = sys.argv[5:7]
    kind.tls_control_required = kind.tls_data_required = True
kind.authorizer = users
kind.timeout = 2 if home.endswith("impatient") else 300
FTPServer(("127.0.0.1", int(port)), kind).serve_forever()

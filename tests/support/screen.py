#!/usr/bin/env python3
"""Runs a program on a terminal of so many columns: screen.py COLUMNS PROGRAM ARGUMENT...

Prints what the screen shows at the end, then `== ` with the number of screen lines that were ever begun, the longest text that
was drawn into one line before its end, 1 when colours came, and the exit code; then each text that was drawn over, once.
STOP_AT=TEXT in the environment: types Ctrl-C, once, when that has come."""
import fcntl
import os
import pty
import re
import struct
import sys
import termios

columns = int(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.execv(sys.argv[2], sys.argv[2:])
data = b""
stop_at = os.environ.get("STOP_AT", "").encode()
while True:
    try:
        piece = os.read(fd, 65536)
    except OSError:
        break
    if not piece:
        break
    data += piece
    if stop_at and stop_at in data:
        os.write(fd, b"\x03")
        stop_at = b""
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
text = data.decode("utf-8", "replace")
coloured = "\x1b[3" in text
text = re.sub(r"\x1b\[\d*m", "", text)
lines, row, column, widest, drawn = [""], 0, 0, 0, []
while text:
    if text.startswith("\x1b[K"):
        if lines[row].strip():
            drawn.append(lines[row])
        lines[row] = lines[row][:column]
        text = text[3:]
        continue
    c, text = text[0], text[1:]
    if c == "\r":
        column = 0
    elif c == "\n":
        row, column = row + 1, 0
        lines.append("")
    elif c == "\x1b":
        sys.exit("an unknown order: " + repr(text[:10]))
    else:
        if column == columns:
            row, column = row + 1, 0
            lines.append("")
        lines[row] = lines[row][:column].ljust(column) + c + lines[row][column + 1:]
        column += 1
        widest = max(widest, column)
print("\n".join(lines).rstrip("\n"))
print("==", len(lines), widest, int(coloured), code)
for line in dict.fromkeys(drawn):
    print(line)

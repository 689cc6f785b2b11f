"""What a shell makes of lines typed at a terminal: terminal.py FOLDER SETUP SHELL [ARGUMENT...] <lines

Types each line of standard input and a tab, and prints what the terminal shows then, one line for each."""

import os
import pty
import select
import sys
import time

END = "#done"
PATIENCE = 60


def main():
    folder, setup, *shell = sys.argv[1:]
    lines = sys.stdin.read().splitlines()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update(TERM="dumb", COLUMNS="200", HOME=folder)
        os.execvp(shell[0], shell)

    def until(text):
        shown, end = "", time.monotonic() + PATIENCE
        while text not in shown:
            left = end - time.monotonic()
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                sys.exit(f"{shell[0]}: no {text!r} within {PATIENCE} s after {shown!r}")
            shown += os.read(terminal, 65536).decode(errors="replace")
        return shown

    def type_in(text):
        os.write(terminal, text.encode())

    type_in(setup + "\n")
    for number, line in enumerate(lines):
        # Ctrl-U empties the line. A prompt of its own for each line, in two parts: neither an old one nor the echo of the
        # command is taken for it.
        type_in(f"\x15PS1='rea''dy {number}> '\n")
        until(f"ready {number}> ")
        type_in(line + "\t" + END)
        shown = until(END).replace("\a", "")
        print("".join(c if c.isprintable() else " " for c in shown))
    os.kill(pid, 9)


main()

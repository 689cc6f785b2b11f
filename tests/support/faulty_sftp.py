"""An SFTP server, version 3, on standard input and output, that serves the real file system and goes wrong when told to.

    faulty_sftp.py FOLDER

FOLDER/log gets a line for each request, FOLDER/reads one for each that was answered with data: LENGTH PATH.
FOLDER/script holds one trouble a line, taken away when it has happened: KIND NUMBER TROUBLE [VALUE]. KIND is a request (`read`,
`write`, `open`, ...) or `start`; the trouble comes at the NUMBER-th request of that kind.
Troubles: `die`, `hang`, `pause` (until there is FOLDER/go), `kill` (with words on standard error), `status CODE[:message]`, `bare CODE` (a status without words),
`garbage`, `huge`, `cut`, `wrong-id`, `wrong-kind`, `say TEXT` (plain text), `error TEXT` (on standard error, and it ends), `exit CODE`,
`more` (data that nobody asked for), `early` (facts of a file as if it were empty yet), `full` (from now on nothing can be written and statvfs says so), `drip`, `empty`.
What is refused (`status`, `bare`, `full`) is not done; all else is done before it goes wrong.
FOLDER/mode holds words that count for the whole run: `shuffle` (replies in another order), `short` (reads answer with a part),
`plain` (no extensions), `no-attrs`, `more-attrs`, `version2`, `no-size`, `blind` (facts of files are never told), `small` (limits).
"""

import os
import stat
import struct
import sys
import time

HOME = sys.argv[1]
OUT = sys.stdout.buffer
IN = sys.stdin.buffer
KINDS = {1: "init", 3: "open", 4: "close", 5: "read", 6: "write", 7: "lstat", 8: "fstat", 9: "setstat", 11: "opendir",
         12: "readdir", 13: "remove", 14: "mkdir", 16: "realpath", 17: "stat", 18: "rename", 200: "extended"}


def text_of(path):
    try:
        with open(os.path.join(HOME, path)) as f:
            return f.read()
    except OSError:
        return ""


MODE = text_of("mode").split()
counts = {}
known = 0
full = False
held = []


def word(data):
    if isinstance(data, str):
        data = data.encode()
    return struct.pack(">I", len(data)) + data


def frame(kind, number, body=b""):
    return struct.pack(">IBI", len(body) + 5, kind, number) + body


def send(data):
    if "shuffle" in MODE:
        held.append(data)
        return
    OUT.write(data)
    OUT.flush()


def flush_held():
    import random
    random.shuffle(held)
    for data in held:
        OUT.write(data)
    held.clear()
    OUT.flush()


def status(number, code, message="no words"):
    return frame(101, number, struct.pack(">I", code) + word(message) + word("en"))


def trouble_for(kind):
    global known
    try:
        now = os.stat(os.path.join(HOME, "script")).st_mtime_ns
    except OSError:
        return None, ""
    if now != known:
        # A script counts from when it was written.
        known = now
        counts.clear()
    counts[kind] = counts.get(kind, 0) + 1
    lines = text_of("script").splitlines()
    for at, line in enumerate(lines):
        parts = line.split(" ", 3)
        if parts[0] == kind and int(parts[1]) <= counts[kind]:
            del lines[at]
            with open(os.path.join(HOME, "script.new"), "w") as f:
                f.write("".join(line + "\n" for line in lines))
            os.rename(os.path.join(HOME, "script.new"), os.path.join(HOME, "script"))
            counts[kind] = 0
            return parts[2], parts[3] if len(parts) > 3 else ""
    return None, ""


def attrs(s):
    if "no-attrs" in MODE:
        return struct.pack(">I", 0)
    if "no-size" in MODE:
        return struct.pack(">II", 4, s.st_mode)
    flags, more = 1 | 2 | 4 | 8, b""
    if "more-attrs" in MODE:
        flags |= 0x80000000
        more = struct.pack(">I", 2) + word("a@b") + word("x" * 300) + word("") + word("")
    return struct.pack(">IQIIIII", flags, s.st_size, s.st_uid, s.st_gid, s.st_mode, int(s.st_atime), int(s.st_mtime)) + more


class Fields:
    def __init__(self, data):
        self.data, self.at = data, 0

    def u32(self):
        self.at += 4
        return struct.unpack(">I", self.data[self.at - 4:self.at])[0]

    def u64(self):
        self.at += 8
        return struct.unpack(">Q", self.data[self.at - 8:self.at])[0]

    def text(self):
        n = self.u32()
        self.at += n
        return self.data[self.at - n:self.at]


files = {}
paths = {}
folders = {}


def code_of(e):
    if isinstance(e, FileNotFoundError):
        return 2
    return 3 if isinstance(e, PermissionError) else 4


def answer(kind, number, f):
    global full
    if kind == "open":
        path, flags = f.text(), f.u32()
        mode = {1: os.O_RDONLY, 2: os.O_WRONLY, 3: os.O_RDWR}[flags & 3]
        mode |= (os.O_CREAT if flags & 8 else 0) | (os.O_TRUNC if flags & 16 else 0) | (os.O_EXCL if flags & 32 else 0)
        fd = os.open(path, mode, 0o644)
        files[str(fd).encode()] = fd
        paths[fd] = path.decode()
        return frame(102, number, word(str(fd)))
    if kind == "close":
        handle = f.text()
        if handle in folders:
            del folders[handle]
        else:
            os.close(files.pop(handle))
        return status(number, 0)
    if kind == "read":
        fd, at, n = files[f.text()], f.u64(), f.u32()
        data = os.pread(fd, min(n, 65536), at)
        if not data:
            return status(number, 1)
        if "short" in MODE:
            data = data[:max(1, len(data) // 3)]
        with open(os.path.join(HOME, "reads"), "a") as log:
            log.write(f"{len(data)} {paths[fd]}\n")
        return frame(103, number, word(data))
    if kind == "write":
        fd, at, data = files[f.text()], f.u64(), f.text()
        if full:
            return status(number, 4, "Failure")
        os.pwrite(fd, data, at)
        return status(number, 0)
    if kind in ("stat", "lstat", "fstat"):
        if "blind" in MODE:
            return status(number, 8)
        what = f.text()
        s = os.fstat(files[what]) if kind == "fstat" else os.stat(what) if kind == "stat" else os.lstat(what)
        return frame(105, number, attrs(s))
    if kind == "setstat":
        path = f.text()
        if f.u32() == 4:
            os.chmod(path, f.u32())
        return status(number, 0)
    if kind == "opendir":
        path = f.text()
        os.listdir(path)
        handle = b"d%d" % len(folders)
        folders[handle] = [path, os.scandir(path)]
        return frame(102, number, word(handle))
    if kind == "readdir":
        path, entries = folders[f.text()]
        body, n = b"", 0
        for entry in entries:
            s = entry.stat(follow_symlinks=False)
            kind_letter = "d" if stat.S_ISDIR(s.st_mode) else "-"
            body += word(entry.name) + word(kind_letter.encode() + b"rw-r--r-- " + entry.name) + attrs(s)
            n += 1
            if n == 100:
                break
        return frame(104, number, struct.pack(">I", n) + body) if n else status(number, 1)
    if kind == "remove":
        os.remove(f.text())
        return status(number, 0)
    if kind == "mkdir":
        os.mkdir(f.text())
        return status(number, 0)
    if kind == "realpath":
        path = os.path.realpath(f.text())
        return frame(104, number, struct.pack(">I", 1) + word(path) + word(path) + struct.pack(">I", 0))
    if kind == "rename":
        old, new = f.text(), f.text()
        if os.path.exists(new):
            return status(number, 4, "Failure")
        os.rename(old, new)
        return status(number, 0)
    if kind == "extended":
        name = f.text()
        if name == b"posix-rename@openssh.com":
            os.rename(f.text(), f.text())
            return status(number, 0)
        if name == b"fsync@openssh.com":
            return status(number, 0)
        if name == b"statvfs@openssh.com":
            free = 0 if full else 1 << 30
            return frame(201, number, struct.pack(">11Q", 4096, 4096, 1 << 40, free, free, 0, 0, 0, 0, 0, 255))
        if name == b"limits@openssh.com":
            return frame(201, number, struct.pack(">4Q", 0, 1000, 3000, 0))
    return status(number, 8)


def go_wrong(trouble, value, kind, number, good):
    global full
    if trouble == "die":
        os._exit(0)
    if trouble == "kill":
        os.kill(os.getpid(), 9)
    if trouble == "exit":
        os._exit(int(value))
    if trouble == "hang":
        time.sleep(3600)
    if trouble == "pause":
        while not os.path.exists(os.path.join(HOME, "go")):
            time.sleep(0.01)
        return good
    if trouble == "error":
        sys.stderr.write(value.replace("\\n", "\n") + "\n")
        sys.stderr.flush()
        os._exit(255)
    if trouble == "say":
        OUT.write(value.replace("\\n", "\n").encode())
        OUT.flush()
        return good
    if trouble == "full":
        full = True
        return status(number, 4, "Failure")
    if trouble == "status":
        code, _, message = value.partition(":")
        return status(number, int(code), message)
    if trouble == "bare":
        return frame(101, number, struct.pack(">I", int(value)))
    if trouble == "garbage":
        return b"\x00\x00\x00\x09\x65" + struct.pack(">I", number) + b"\xff\xff\xff\xff"[:4]
    if trouble == "huge":
        return b"\xff\xff\xff\xff" + b"x" * 100
    if trouble == "cut":
        OUT.write(good[:len(good) // 2])
        OUT.flush()
        os._exit(0)
    if trouble == "wrong-id":
        return good[:5] + struct.pack(">I", number + 1000) + good[9:]
    if trouble == "wrong-kind":
        return frame(105, number, struct.pack(">I", 0)) if kind != "stat" else frame(103, number, word(b"x"))
    if trouble == "empty":
        return frame(103, number, word(b"")) if kind == "read" else frame(104, number, struct.pack(">I", 0))
    if trouble == "early":
        return frame(105, number, struct.pack(">IQ", 1, 0))
    if trouble == "more":
        return frame(103, number, word(b"x" * 70000))
    if trouble == "drip":
        for at in range(len(good)):
            OUT.write(good[at:at + 1])
            OUT.flush()
            time.sleep(0.2)
        return b""
    raise SystemExit("no such trouble: " + trouble)


def main():
    trouble, value = trouble_for("start")
    if trouble:
        go_wrong(trouble, value, "start", 0, b"")
    while True:
        if held:
            import select
            if not select.select([IN], [], [], 0.02)[0]:
                flush_held()
        head = IN.read(4)
        if len(head) < 4:
            return
        data = IN.read(struct.unpack(">I", head)[0])
        kind = KINDS.get(data[0], str(data[0]))
        trouble, value = trouble_for(kind)
        f = Fields(data[1:])
        number = f.u32()
        with open(os.path.join(HOME, "log"), "a") as log:
            log.write(kind + "\n")
        if kind == "init":
            version = 2 if "version2" in MODE else 3
            more = b""
            if "plain" not in MODE:
                more = word("posix-rename@openssh.com") + word("1") + word("fsync@openssh.com") + word("1")
                more += word("statvfs@openssh.com") + word("2")
            if "small" in MODE:
                more += word("limits@openssh.com") + word("1")
            good = frame(2, version, more)
        elif trouble in ("status", "bare", "full"):
            good = b""
        else:
            try:
                good = answer(kind, number, f)
            except OSError as e:
                good = status(number, code_of(e), e.strerror or "")
            except KeyError:
                good = status(number, 4, "no such handle")
        if trouble:
            good = go_wrong(trouble, value, kind, number, good)
        if kind in ("read", "write", "readdir"):
            send(good)
        else:
            flush_held()
            OUT.write(good)
            OUT.flush()


main()

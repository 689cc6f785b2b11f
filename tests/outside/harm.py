"""Damages one thing in a destination of plain volumes, so that exactly that is wrong: harm.py FOLDER RULE. See needs.py."""

import hashlib
import json
import os
import sys
import zipfile

sys.dont_write_bytecode = True
from needs import b64, id_of, parse


def read(path):
    with zipfile.ZipFile(path) as z:
        return [(n, z.read(n)) for n in z.namelist()]


def write(path, entries):
    with zipfile.ZipFile(path, "w") as z:
        for name, data in entries:
            z.writestr(name, data)


def dump(value):
    return json.dumps(value, separators=(",", ":")).encode()


def reindex(folder, index, change):
    """Puts what `change` makes of the one list of blocks into a dindex."""
    path = os.path.join(folder, index)
    write(path, [(n, dump(change(parse(d))) if n.startswith("vol/") else d) for n, d in read(path)])


def settle(folder, index):
    """Makes the size and hash in a dindex those that its volume has now."""
    target = next(n[4:] for n, _ in read(os.path.join(folder, index)) if n.startswith("vol/"))
    with open(os.path.join(folder, target), "rb") as f:
        data = f.read()
    digest = b64(hashlib.sha256(data).digest())
    reindex(folder, index, lambda vol: {**vol, "volumehash": digest, "volumesize": len(data)})


def main():
    folder, rule = sys.argv[1:3]
    names = sorted(os.listdir(folder))
    index = [n for n in names if ".dindex." in n]
    lists = [n for n in names if ".dlist." in n]
    at = lambda name: os.path.join(folder, name)
    entry = {i: next(n for n, _ in read(at(i)) if n.startswith("vol/")) for i in index}
    # The volume with the most blocks, and its index: some of them are needed.
    first = max(index, key=lambda i: len(read(at(entry[i][4:]))))
    volume = entry[first][4:]
    if rule == "unreadable":
        with open(at(lists[0]), "r+b") as f:
            f.truncate(100)
    elif rule == "missing-volume":
        os.remove(at(volume))
    elif rule == "no-dindex":
        os.remove(at(first))
    elif rule == "two-dindexes":
        write(at(f"{first.split('-')[0]}-i{'0' * 32}.dindex.zip"), read(at(first)))
    elif rule == "wrong-size":
        reindex(folder, first, lambda vol: {**vol, "volumesize": vol["volumesize"] + 1})
    elif rule == "wrong-hash":
        reindex(folder, first, lambda vol: {**vol, "volumehash": b64(bytes(32))})
    elif rule == "not-listed":
        reindex(folder, first, lambda vol: {**vol, "blocks": vol["blocks"][1:]})
    elif rule == "not-held":
        extra = {"hash": b64(bytes(range(32))), "size": 7}
        reindex(folder, first, lambda vol: {**vol, "blocks": vol["blocks"] + [extra]})
    elif rule == "block-size":
        reindex(folder, first, lambda vol: {**vol, "blocks": [{**b, "size": b["size"] + 1} for b in vol["blocks"]]})
    elif rule == "block-content":
        entries = read(at(volume))
        entries[1] = (entries[1][0], bytes(len(entries[1][1])))
        write(at(volume), entries)
        settle(folder, first)
    elif rule == "two-places":
        # The same volume once more under another name, with an index of its own.
        prefix, other = first.split("-")[0], "0" * 32
        copy = f"{prefix}-b{other}.dblock.zip"
        write(at(copy), read(at(volume)))
        renamed = [("vol/" + copy if n.startswith("vol/") else n, d) for n, d in read(at(first))]
        write(at(f"{prefix}-i{other}.dindex.zip"), renamed)
        settle(folder, f"{prefix}-i{other}.dindex.zip")
    elif rule == "nowhere":
        # Neither the volume nor its index has the block any more.
        needed = {e.get("metahash") for e in parse(dict(read(at(lists[0])))["filelist.json"])}
        homes = [(i, e) for i in index for e, _ in read(at(entry[i][4:])) if id_of(e) in needed]
        where, gone = homes[0]
        target = at(entry[where][4:])
        write(target, [(n, d) for n, d in read(target) if n != gone])
        keep = lambda vol: {**vol, "blocks": [b for b in vol["blocks"] if b["hash"] != id_of(gone)]}
        reindex(folder, where, keep)
        settle(folder, where)
    elif rule == "wrong-length":
        path = at(lists[-1])
        entries = dict(read(path))
        files = parse(entries["filelist.json"])
        for file in files:
            if file["type"] == "File" and not file.get("blocklists") and file["size"] > 0:
                file["size"] += 1
        write(path, [(n, dump(files) if n == "filelist.json" else d) for n, d in entries.items()])
    elif rule in ("copy-content", "copy-missing"):
        for i in index:
            entries = read(at(i))
            harmed = [(n, bytes(len(d)) if n.startswith("list/") else d) for n, d in entries]
            if rule == "copy-missing":
                harmed = [(n, d) for n, d in entries if not n.startswith("list/")]
            write(at(i), harmed)
    else:
        raise SystemExit(f"no harm {rule}")


if __name__ == "__main__":
    main()

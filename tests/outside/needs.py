"""What every version of a destination needs is where its index volumes say: the rules that deletion, compaction and repair keep.

Independent of how a writer packs and orders things, so that sets of any writer are proved by it. Standard library only.

    N1  a volume cannot be read, or differs from the others in its parameters
    N2  a dindex names a volume that is not there
    N3  a dblock has no dindex, or several
    N4  a dindex states another size or hash of its volume
    N5  a dindex lists a block that its volume does not hold with that hash and size, or does not list one that it holds
    N6  a block that a version needs is in more than one volume
    N7  a block that a version needs is in no volume, or has not the length that its place asks for
    N8  the copy of a blocklist is not what its name says, or a blocklist that a version needs has no copy
"""

import base64
import hashlib
import json
import os
import re
import zipfile
import zlib

NAME = re.compile(r"(.+)-(?:[bi][0-9a-f]{32}\.(dblock|dindex)|\d{8}T\d{6}Z\.(dlist))\.zip(\.aes)?")


def b64(data):
    return base64.b64encode(data).decode()


def id_of(entry):
    return entry.replace("-", "+").replace("_", "/")


def parse(raw):
    return json.loads(raw.decode("utf-8-sig"))


class Needs:
    """All volumes of PLAIN, of which STORED holds the bytes as they were uploaded."""

    def __init__(self, plain, stored, copies=True):
        self.faults = []
        self.stored = stored
        # False for index volumes of a writer that copies no blocklists.
        self.copies = copies
        self.volumes = {"dblock": {}, "dindex": {}, "dlist": {}}
        params = {}
        for name in sorted(os.listdir(stored)):
            match = NAME.fullmatch(name)
            if not match:
                continue
            bare = name[:-4] if match[4] else name
            try:
                with zipfile.ZipFile(os.path.join(plain, bare)) as z:
                    names = z.namelist()
                    entries = {n: z.read(n) for n in names}
                if len(entries) != len(names):
                    self.fault("N1", name, "an entry twice")
                manifest = parse(entries.pop("manifest"))
                key = tuple(manifest[k] for k in ("Blocksize", "BlockHash", "FileHash"))
            except (OSError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, NotImplementedError) as e:
                self.fault("N1", name, f"cannot be read: {e!r}")
                continue
            params.setdefault(key, name)
            self.volumes[match[2] or match[3]][name] = entries
        if len(params) > 1:
            self.fault("N1", stored, f"volumes differ: {params}")
        if not params:
            self.fault("N1", stored, "no volume")
            return
        self.block_size, block_hash, file_hash = next(iter(params))
        self.digest = lambda data: b64(hashlib.new(block_hash, data).digest())
        self.whole = lambda data: b64(hashlib.new(file_hash, data).digest())
        self.same = block_hash == file_hash
        self.hash_len = hashlib.new(block_hash).digest_size
        self.prove()

    def fault(self, rule, where, text):
        self.faults.append(f"{rule} {where!r}: {text}")

    def prove(self):
        # Where a block really is: its id and the volumes that hold bytes of that hash.
        self.really = {}
        for name, entries in self.volumes["dblock"].items():
            for entry, data in entries.items():
                if self.digest(data) == id_of(entry):
                    self.really.setdefault(id_of(entry), {})[name] = len(data)
                else:
                    self.fault("N5", f"{name}/{entry}", "the content has another hash")
        self.indexed, self.lists, self.said = {}, {}, {}
        for name, entries in self.volumes["dindex"].items():
            for entry, raw in entries.items():
                if entry.startswith("vol/"):
                    self.prove_index(name, entry[4:], raw)
                elif entry.startswith("list/"):
                    self.prove_copy(name, id_of(entry[5:]), raw)
        for name in self.volumes["dblock"]:
            count = len(self.indexed.get(name, []))
            if count != 1:
                self.fault("N3", name, f"{count} dindexes")
        self.needed = {}
        for name, entries in self.volumes["dlist"].items():
            try:
                for entry in parse(entries["filelist.json"]):
                    self.walk(name, entry)
            except (KeyError, ValueError, TypeError) as e:
                self.fault("N1", name, f"cannot be read: {e!r}")
        for key, where in self.needed.items():
            self.prove_block(key, where)

    def prove_index(self, name, target, raw):
        entries = self.volumes["dblock"].get(target)
        if entries is None:
            self.fault("N2", name, f"names {target}, which is not there or cannot be read")
            return
        self.indexed.setdefault(target, []).append(name)
        try:
            index = parse(raw)
            listed = {(b["hash"], b["size"]) for b in index["blocks"]}
            size, digest = index["volumesize"], index["volumehash"]
        except (KeyError, ValueError, TypeError) as e:
            self.fault("N1", name, f"its list of {target} cannot be read: {e!r}")
            return
        with open(os.path.join(self.stored, target), "rb") as f:
            data = f.read()
        # Always SHA256 by Duplicati, whatever the hashes of blocks and files are.
        if size != len(data) or digest not in (b64(hashlib.sha256(data).digest()), self.whole(data)):
            self.fault("N4", name, f"of {target}: {size} bytes, really {len(data)}, or another hash")
        held = {(id_of(entry), len(data)) for entry, data in entries.items()}
        for block in sorted(listed - held):
            self.fault("N5", name, f"says that {target} holds {block}")
        for block in sorted(held - listed):
            self.fault("N5", name, f"does not list {block} of {target}")
        for id_text, _ in listed:
            self.said.setdefault(id_text, set()).add(target)

    def prove_copy(self, name, id_text, raw):
        if self.digest(raw) != id_text or len(raw) % self.hash_len:
            self.fault("N8", name, f"its copy of the blocklist {id_text} is another one")
            return
        self.lists[id_text] = raw

    def walk(self, name, entry):
        """Notes every block that an entry needs, with its length where that is known."""
        where = f"{name}:{entry.get('path')}"
        if entry["type"] == "File":
            self.content(where, entry["hash"], entry["size"], entry.get("blocklists"), entry.get("blockhash"))
        if "metahash" in entry:
            self.content(
                where, entry["metahash"], entry["metasize"], entry.get("metablocklists"), entry.get("metablockhash")
            )

    def content(self, where, whole, size, lists, block):
        if size == 0:
            return
        if not lists:
            id_text = block or (whole if self.same else None)
            if id_text is None:
                self.fault("N7", where, "the id of its block is not stated")
                return
            self.needed.setdefault((id_text, size), where)
            return
        members = []
        for id_text in lists:
            self.needed.setdefault((id_text, None), where)
            raw = self.lists.get(id_text)
            if raw is None:
                if self.copies:
                    self.fault("N8", where, f"no copy of the blocklist {id_text}")
                homes = self.really.get(id_text, {})
                raw = next((self.volumes["dblock"][h][id_text.replace("+", "-").replace("/", "_")] for h in homes), b"")
            members += [b64(raw[i : i + self.hash_len]) for i in range(0, len(raw), self.hash_len)]
        if len(members) != -(-size // self.block_size):
            self.fault("N7", where, f"{size} bytes in {len(members)} blocks")
            return
        for n, id_text in enumerate(members):
            self.needed.setdefault((id_text, min(self.block_size, size - n * self.block_size)), where)

    def prove_block(self, key, where):
        id_text, size = key
        homes = self.really.get(id_text, {})
        if not homes:
            self.fault("N7", where, f"block {id_text} is nowhere")
            return
        if len(homes) > 1:
            self.fault("N6", where, f"block {id_text} is in {sorted(homes)}")
        if size is not None and size not in homes.values():
            self.fault("N7", where, f"block {id_text} has {sorted(homes.values())} bytes instead of {size}")
        if self.said.get(id_text, set()) != set(homes):
            said = sorted(self.said.get(id_text, set()))
            self.fault("N5", where, f"block {id_text} is in {sorted(homes)}, and by the index in {said}")

    def summary(self):
        blocks = sum(len(v) for v in self.volumes["dblock"].values())
        needed = len({id_text for id_text, _ in self.needed})
        return f"{needed} of {blocks} blocks are needed by {len(self.volumes['dlist'])} versions"

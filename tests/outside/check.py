"""Checks from outside that a destination keeps the writer's rules, and restores it without duplet.

Uses the standard library only and none of duplet's code. Usage:

    check.py PLAIN [--stored STORED] [--restore OUT] [--version N] [--foreign]
    check.py PLAIN [--stored STORED] --needs [--no-copies]

PLAIN holds the volumes as zip files; STORED (default: PLAIN) the destination as it was uploaded, whose names, sizes and
hashes the index volumes speak of. --restore writes version N (0 = newest) below OUT. --foreign leaves out what only duplet
promises: its zip profile, SHA256, the order of files in time. --needs proves only what needs.py does, of the volumes of any
writer: whatever a version needs is where the index volumes say; --no-copies if those copy no blocklists.
Prints every broken rule, one a line, named as in the table of writer invariants (W1 to W20); exit 1 when there is one.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import struct
import sys
import time
import zipfile

sys.dont_write_bytecode = True
from needs import Needs  # noqa: E402

BOM = b"\xef\xbb\xbf"
NAME = re.compile(
    r"([^-]+)-(?:b([0-9a-f]{32})\.(dblock)|i([0-9a-f]{32})\.(dindex)|(\d{8}T\d{6}Z)\.(dlist))\.zip(\.aes)?"
)
MANIFEST = ["Version", "Created", "Encoding", "Blocksize", "BlockHash", "FileHash", "AppVersion"]
META_KEYS = [
    (r"unix-ext:.+", r"[A-Za-z0-9+/]+=*"),
    (r"unix:uid-gid-perm", r"\d+-\d+-\d+"),
    (r"unix:owner-name", r".+"),
    (r"unix:group-name", r".+"),
    (r"CoreAttributes", r"[A-Z][A-Za-z]*(, [A-Z][A-Za-z]*)*|\d+"),
    (r"CoreLastWritetime", r"\d+"),
    (r"CoreCreatetime", r"\d+"),
    (r"CoreSymlinkTarget", r"(?s).+"),
]
BITS = ["ReadOnly", "Hidden", "System", "Directory", "Archive", "Device", "Normal", "Temporary", "SparseFile", "ReparsePoint"]
UNIX_EPOCH_TICKS = 621355968000000000
FILE_START = ["type", "path", "hash", "size", "time", "metahash", "metasize"]
OTHER_START = ["type", "path", "metahash", "metasize"]

faults = []


left_out = set()


def fault(rule, where, text):
    if rule not in left_out:
        faults.append(f"{rule} {where!r}: {text}")


def pairs(text):
    """JSON with objects as lists of pairs, so that order and repeats show."""
    return json.loads(text, object_pairs_hook=list)


def b64(data):
    return base64.b64encode(data).decode()


def entry_name(id_text):
    return id_text.replace("+", "-").replace("/", "_")


class Volume:
    """One zip volume: its entries read whole, its bytes checked against the zip profile (W17, W3)."""

    def __init__(self, path, name):
        self.name = name
        with open(path, "rb") as f:
            raw = f.read()
        self.entries = {}
        self.order = []
        with zipfile.ZipFile(path) as z:
            self.infos = z.infolist()
            if z.comment:
                fault("W17", name, "has a comment")
            for info in self.infos:
                if info.filename in self.entries:
                    fault("W5", name, f"entry {info.filename} twice")
                self.entries[info.filename] = z.read(info)  # checks the CRC
                self.order.append(info.filename)
        self.profile(raw)
        self.manifest = self.read_manifest()

    def profile(self, raw):
        pos = 0
        for info in self.infos:
            where = f"{self.name}/{info.filename}"
            if info.header_offset != pos:
                fault("W17", where, f"starts at {info.header_offset}, the one before ends at {pos}")
            if info.compress_type not in (0, 8):
                fault("W17", where, f"method {info.compress_type}")
            # Those of the locator are read in parts by where a deflated stream was cut, however short they are.
            cut = info.filename.startswith("duplet/")
            if info.compress_type == 8 and info.compress_size >= info.file_size and not cut:
                fault("W17", where, "deflated although that does not shrink it")
            if info.compress_type == 0 and info.compress_size != info.file_size:
                fault("W17", where, "stored with two sizes")
            if info.flag_bits not in (0, 0x800):
                fault("W17", where, f"flags {info.flag_bits:#x}")
            if info.extra or info.comment:
                fault("W17", where, "extra field or comment")
            if info.extract_version != 20:
                fault("W17", where, f"needs version {info.extract_version}")
            local = struct.unpack("<4sHHHHHIIIHH", raw[pos : pos + 30])
            text = info.filename.encode("utf-8")
            same = (
                local[0] == b"PK\x03\x04"
                and local[1:4] == (info.extract_version, info.flag_bits, info.compress_type)
                and local[6:] == (info.CRC, info.compress_size, info.file_size, len(text), 0)
                and raw[pos + 30 : pos + 30 + len(text)] == text
            )
            if not same:
                fault("W17", where, "local header differs from the directory")
            pos += 30 + len(text) + info.compress_size
        end = raw.rfind(b"PK\x05\x06")
        if end + 22 != len(raw):
            fault("W17", self.name, "bytes after the end record")
            return
        _, disk, disk2, here, total, size, start, _ = struct.unpack("<4sHHHHIIH", raw[end:])
        count = len(self.infos)
        if count < 65535:
            if (disk, disk2, here, total) != (0, 0, count, count) or start != pos or start + size != end:
                fault("W17", self.name, "end record does not fit the directory")
        else:
            if raw[end - 20 : end - 16] != b"PK\x06\x07":
                fault("W17", self.name, f"{count} entries without a zip64 end record")
                return
            (at,) = struct.unpack("<Q", raw[end - 12 : end - 4])
            here, total = struct.unpack("<QQ", raw[at + 24 : at + 40])
            if raw[at : at + 4] != b"PK\x06\x06" or (here, total) != (count, count):
                fault("W17", self.name, "zip64 end record is wrong")

    def read_manifest(self):
        if not self.order or self.order[0] != "manifest":
            fault("W3", self.name, "first entry is not the manifest")
        raw = self.entries.get("manifest", b"")
        if not raw.startswith(BOM):
            fault("W3", self.name, "manifest without byte order mark")
        found = pairs(raw[3:].decode("utf-8"))
        values = dict(found)
        if [k for k, _ in found] != MANIFEST:
            fault("W3", self.name, f"manifest keys {[k for k, _ in found]}")
        if raw[3:].decode() != json.dumps(values, separators=(",", ":"), ensure_ascii=False):
            fault("W3", self.name, "manifest is not compact")
        if values.get("Version") != 2 or values.get("Encoding") != "utf8":
            fault("W3", self.name, "Version or Encoding")
        if not re.fullmatch(r"\d{8}T\d{6}Z", str(values.get("Created"))):
            fault("W3", self.name, "Created")
        if not re.fullmatch(r"\d+(\.\d+){1,3}", str(values.get("AppVersion"))):
            fault("W3", self.name, "AppVersion")
        return {k: values.get(k) for k in ("Blocksize", "BlockHash", "FileHash")}


class Set:
    """All volumes of a destination."""

    def __init__(self, plain, stored):
        self.stored = stored
        self.volumes = {"dblock": {}, "dindex": {}, "dlist": {}}
        self.times = {}
        encrypted, prefixes, ivs = set(), set(), set()
        for name in sorted(os.listdir(stored)):
            match = NAME.fullmatch(name)
            if not match:
                fault("W1", name, "not a name a writer makes")
                continue
            prefixes.add(match[1])
            kind = match[3] or match[5] or match[7]
            encrypted.add(match[8])
            if match[8]:
                check_aes_head(os.path.join(stored, name), ivs)
            bare = name[:-4] if match[8] else name
            self.volumes[kind][name] = Volume(os.path.join(plain, bare), name)
            self.times[name] = os.stat(os.path.join(stored, name)).st_mtime_ns
        if len(prefixes) > 1 or len(encrypted) > 1:
            fault("W2", stored, f"prefixes {prefixes}, encryption {encrypted}")
        params = {tuple(v.manifest.items()) for kind in self.volumes.values() for v in kind.values()}
        if len(params) != 1:
            fault("W2", stored, f"volumes differ: {params}")
            sys.exit(report())
        values = dict(params.pop())
        self.block_size = values["Blocksize"]
        if (values["BlockHash"], values["FileHash"]) != ("SHA256", "SHA256"):
            fault("W2a", stored, f"hashes {values}")
        self.block_hash = lambda data: hashlib.new(values["BlockHash"], data).digest()
        self.file_hash = lambda data: hashlib.new(values["FileHash"], data).digest()
        self.same = values["BlockHash"] == values["FileHash"]
        self.hash_len = len(self.block_hash(b""))
        self.per_list = self.block_size // self.hash_len
        self.blocks = {}
        self.home = {}
        self.lists = {}
        self.index_of = {}
        self.used_lists = set()

    def check_dblocks(self):
        for name, volume in self.volumes["dblock"].items():
            for entry in volume.order:
                if entry == "manifest":
                    continue
                data = volume.entries[entry]
                where = f"{name}/{entry}"
                if not 0 < len(data) <= self.block_size:
                    fault("W4", where, f"{len(data)} bytes")
                id_text = b64(self.block_hash(data))
                if entry_name(id_text) != entry:
                    fault("W5", where, "name is not the hash of the content")
                if id_text in self.blocks:
                    fault("W5", where, f"also in {self.home[id_text]}")
                self.blocks[id_text] = data
                self.home[id_text] = name

    def check_dindexes(self):
        for name, volume in self.volumes["dindex"].items():
            vols = [e for e in volume.order if e.startswith("vol/")]
            if len(vols) != 1:
                fault("W13", name, f"{len(vols)} vol/ entries")
            for entry in volume.order:
                if entry in vols:
                    self.check_vol(name, entry[4:], volume.entries[entry])
                elif entry.startswith("list/"):
                    data = volume.entries[entry]
                    id_text = b64(self.block_hash(data))
                    if entry != "list/" + entry_name(id_text):
                        fault("W6", f"{name}/{entry}", "name is not the hash of the content")
                    self.lists.setdefault(id_text, set()).add(name)
                elif entry != "manifest":
                    fault("W13", name, f"entry {entry}")
        for name in self.volumes["dblock"]:
            if name not in self.index_of:
                fault("W13", name, "no dindex")

    def check_vol(self, name, target, raw):
        if target in self.index_of:
            fault("W13", name, f"second dindex of {target}")
        self.index_of[target] = name
        if target not in self.volumes["dblock"]:
            fault("W13", name, f"of {target}, which is not there")
            return
        if raw.startswith(BOM):
            fault("W13", name, "byte order mark")
        found = pairs(raw.decode("utf-8"))
        if [k for k, _ in found] != ["blocks", "volumehash", "volumesize"]:
            fault("W13", name, f"keys {[k for k, _ in found]}")
        values = dict(found)
        listed = []
        for item in values["blocks"]:
            if [k for k, _ in item] != ["hash", "size"]:
                fault("W13", name, f"block {item}")
            listed.append((dict(item)["hash"], dict(item)["size"]))
        volume = self.volumes["dblock"][target]
        real = sorted((b64(self.block_hash(d)), len(d)) for e, d in volume.entries.items() if e != "manifest")
        if sorted(listed) != real:
            fault("W13", name, f"does not list the blocks of {target}")
        with open(os.path.join(self.stored, target), "rb") as f:
            data = f.read()
        if values["volumesize"] != len(data) or values["volumehash"] != b64(self.file_hash(data)):
            fault("W13", name, f"hash or size of {target}")
        if self.times[target] > self.times[name]:
            fault("W14", name, f"older than its {target}")

    def check_dlist(self, name, volume):
        """All entries of a version, each with its content, metadata and target."""
        for entry in volume.order:
            ours = entry in ("duplet/segments", "duplet/places", "duplet/volumes")
            if entry not in ("manifest", "fileset", "filelist.json") and not entry.startswith("extra/") and not ours:
                fault("W10", name, f"entry {entry}")
        if volume.entries.get("fileset") not in (BOM + b'{"IsFullBackup":true}', BOM + b'{"IsFullBackup":false}'):
            fault("W10", name, "fileset")
        raw = volume.entries.get("filelist.json", b"")
        if not raw.startswith(BOM) or b"\n" in raw:
            fault("W10", name, "byte order mark or line ends of filelist.json")
        seen, out, needed = set(), [], set()
        for item in pairs(raw[3:].decode("utf-8")):
            entry = dict(item)
            where = f"{name}:{entry.get('path')}"
            try:
                out.append(self.check_entry(where, [k for k, _ in item], entry, needed))
            except (KeyError, ValueError, TypeError, AttributeError) as e:
                fault("W10", where, f"cannot be read: {e!r}")
            if entry.get("path") in seen:
                fault("W11", where, "twice")
            seen.add(entry.get("path"))
        for id_text in needed:
            home = self.home.get(id_text)
            if home and max(self.times[home], self.times.get(self.index_of.get(home), 0)) > self.times[name]:
                fault("W14", name, f"older than {home}, which it needs")
                break
        return out

    def check_entry(self, where, keys, entry, needed):
        kind, path = entry["type"], entry["path"]
        if kind not in ("File", "Folder", "Symlink"):
            fault("W10", where, f"type {kind}")
        start = FILE_START if kind == "File" else OTHER_START
        if keys[: len(start)] != start:
            fault("W10", where, f"order {keys}")
        path.encode("utf-8")
        parts = path.split("/")
        if not path.startswith("/") or ".." in parts or "." in parts or "\0" in path or "//" in path:
            fault("W11", where, "not an absolute, plain path")
        # A link to a folder may have one: Duplicati writes it so.
        if kind != "Symlink" and path.endswith("/") != (kind == "Folder"):
            fault("W11", where, f"separator at the end of a {kind}")
        rest = keys[len(start) :]
        size = entry["metasize"]
        blob, tail = self.content(
            where, entry["metahash"], size, entry.get("metablocklists"), entry.get("metablockhash"), None, "meta", needed
        )
        if size <= self.block_size and not self.same and "metablockhash" not in entry:
            fault("W9", where, "no metablockhash although the algorithms differ")
        if size <= self.block_size and self.same and ("metablockhash" in entry) != (kind != "File"):
            fault("W10", where, "metablockhash: written for folders and links, omitted for files")
        if size > self.block_size * self.per_list:
            fault("W20", where, f"metadata of {size} bytes")
        meta = self.check_meta(where, blob, kind)
        want = [tail] if tail else (["metablockhash"] if "metablockhash" in entry else [])
        data = b""
        if kind == "File":
            data, tail = self.content(
                where, entry["hash"], entry["size"], entry.get("blocklists"), entry.get("blockhash"),
                entry.get("blocksize"), "", needed,
            )
            if tail:
                want.append(tail)
            elif "blockhash" in entry:
                want += ["blockhash", "blocksize"]
            self.check_time(where, entry["time"], meta)
        if rest != want:
            fault("W10", where, f"properties {rest} instead of {want}")
        return kind, path, data, meta

    def content(self, where, full, size, lists, single, single_size, what, needed):
        """The bytes of a file or metadata blob, block by block; and the name of its lists property, if it has one."""
        count = -(-size // self.block_size)
        ids = []
        if count >= 2:
            want = 1 if what else -(-count // self.per_list)
            if not isinstance(lists, list) or len(lists) != want or single is not None:
                fault("W7", where, f"{count} blocks need {want} block lists")
                raise ValueError("block lists")
            for n, id_text in enumerate(lists):
                raw = self.need("W6", where, id_text, needed)
                self.used_lists.add(id_text)
                if id_text not in self.lists:
                    fault("W6", where, f"block list {id_text} has no copy in a dindex")
                expect = min(self.per_list, count - n * self.per_list)
                if len(raw) != expect * self.hash_len:
                    fault("W6", where, f"block list {n} has {len(raw)} bytes")
                ids += [b64(raw[i : i + self.hash_len]) for i in range(0, len(raw), self.hash_len)]
        elif lists is not None:
            fault("W7", where, "block lists for at most one block")
        elif count == 1:
            if what == "" and (single is not None) != (not self.same):
                fault("W8", where, "blockhash only when it differs from hash")
            if what == "" and single is not None and single_size != size:
                fault("W8", where, f"blocksize {single_size}")
            ids = [single or full]
        elif single is not None:
            fault("W8", where, "blockhash of nothing")
        parts = []
        for n, id_text in enumerate(ids):
            block = self.need("W16", where, id_text, needed)
            if len(block) != min(self.block_size, size - n * self.block_size):
                fault("W4", where, f"block {n} has {len(block)} bytes")
            parts.append(block)
        data = b"".join(parts)
        if len(data) != size or b64(self.file_hash(data)) != full:
            fault("W9" if what else "W5", where, "hash of the whole differs")
        return data, (what + "blocklists" if count >= 2 else None)

    def need(self, rule, where, id_text, needed):
        needed.add(id_text)
        block = self.blocks.get(id_text)
        if block is None:
            fault(rule, where, f"block {id_text} is nowhere")
            raise ValueError("missing block")
        return block

    def check_meta(self, where, blob, kind):
        if not blob.startswith(BOM):
            fault("W19", where, "metadata without byte order mark")
        found = pairs(blob[3:].decode("utf-8"))
        at = 0
        for key, value in found:
            while at < len(META_KEYS) and not re.fullmatch(META_KEYS[at][0], key):
                at += 1
            if at == len(META_KEYS):
                fault("W19", where, f"metadata key {key} unknown or out of order")
                break
            if not isinstance(value, str) or not re.fullmatch(META_KEYS[at][1], value):
                fault("W19", where, f"metadata {key} = {value!r}")
        meta = dict(found)
        if len(meta) != len(found):
            fault("W19", where, "metadata key twice")
        names = meta.get("CoreAttributes", "Normal").split(", ")
        if names != sorted(names, key=lambda n: BITS.index(n) if n in BITS else 99) or not set(names) <= set(BITS):
            fault("W19", where, f"CoreAttributes {names}")
        if found and ("Directory" in names) != (kind == "Folder") and kind != "Symlink":
            fault("W19", where, f"CoreAttributes {names} of a {kind}")
        if found and kind == "Symlink" and "ReparsePoint" not in names:
            fault("W19", where, f"CoreAttributes {names} of a link")
        if (kind == "Symlink") != bool(meta.get("CoreSymlinkTarget")):
            fault("W11", where, "CoreSymlinkTarget")
        perm = meta.get("unix:uid-gid-perm", "0-0-0").split("-")[2]
        if int(perm) > 0o777:
            fault("W19", where, f"permissions {perm}")
        return meta

    def check_time(self, where, text, meta):
        if "CoreLastWritetime" in meta:
            seconds = (int(meta["CoreLastWritetime"]) - UNIX_EPOCH_TICKS) // 10_000_000
            # Years of four digits only: gmtime is exact there.
            if time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds)) != text:
                fault("W12", where, f"time {text}, CoreLastWritetime {meta['CoreLastWritetime']}")


def check_aes_head(path, ivs):
    with open(path, "rb") as f:
        raw = f.read(1 << 16)
    if raw[:5] != b"AES\x02\x00":
        fault("W18", path, f"starts {raw[:5].hex()}")
        return
    pos = 5
    while True:
        (length,) = struct.unpack(">H", raw[pos : pos + 2])
        pos += 2
        if length == 0:
            break
        if b"\0" not in raw[pos : pos + length]:
            fault("W18", path, "extension without identifier")
        pos += length
    for iv in (raw[pos : pos + 16], raw[pos + 16 : pos + 64]):
        if iv in ivs:
            fault("W18", path, "IV or sealed key seen before")
        ivs.add(iv)


def restore(entries, out):
    """Writes a version below `out`, the top folder of the version being `out` itself."""
    root = min((p for k, p, _, _ in entries if k == "Folder"), key=len)
    folders = []
    for kind, path, data, meta in sorted(entries, key=lambda e: e[1].encode()):
        if not path.startswith(root):
            raise SystemExit(f"{path!r} is not below {root!r}")
        to = os.path.join(os.fsencode(out), path[len(root) :].rstrip("/").encode())
        if kind == "Folder":
            os.makedirs(to, exist_ok=True)
            folders.append((to, meta))
            continue
        os.makedirs(os.path.dirname(to), exist_ok=True)
        if kind == "Symlink":
            os.symlink(meta["CoreSymlinkTarget"].encode(), to)
        else:
            with open(to, "wb") as f:
                f.write(data)
            attributes(to, meta)
    for to, meta in sorted(folders, reverse=True):
        attributes(to, meta)


def attributes(to, meta):
    for key, value in meta.items():
        if key.startswith("unix-ext:user."):
            os.setxattr(to, key[9:].encode(), base64.b64decode(value))
    if "unix:uid-gid-perm" in meta:
        os.chmod(to, int(meta["unix:uid-gid-perm"].split("-")[2]))
    if "CoreLastWritetime" in meta:
        ns = (int(meta["CoreLastWritetime"]) - UNIX_EPOCH_TICKS) * 100
        os.utime(to, ns=(ns, ns))


def report():
    for line in faults[:50]:
        print(line)
    if len(faults) > 50:
        print(f"and {len(faults) - 50} more")
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("plain")
    parser.add_argument("--stored")
    parser.add_argument("--restore")
    parser.add_argument("--version", type=int, default=0)
    parser.add_argument("--foreign", action="store_true")
    parser.add_argument("--needs", action="store_true")
    parser.add_argument("--no-copies", action="store_true")
    args = parser.parse_args()
    needs = Needs(args.plain, args.stored or args.plain, not args.no_copies)
    faults.extend(needs.faults)
    if args.needs:
        if not faults:
            print(f"ok: {needs.summary()}")
        sys.exit(report())
    if args.foreign:
        left_out.update(["W14", "W17", "W2a"])
    all_of_it = Set(args.plain, args.stored or args.plain)
    all_of_it.check_dblocks()
    all_of_it.check_dindexes()
    times = [NAME.fullmatch(n)[6] for n in all_of_it.volumes["dlist"]]
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + 5))
    if len(set(times)) != len(times) or any(t > now for t in times) or not times:
        fault("W15", args.plain, f"times {times}")
    lists = sorted(all_of_it.volumes["dlist"].items())
    versions = [all_of_it.check_dlist(name, volume) for name, volume in lists]
    for id_text, where in all_of_it.lists.items():
        if id_text not in all_of_it.used_lists:
            print(f"note: list copy {id_text} in {where} is used by no version")
    if args.restore and not faults:
        restore(versions[-1 - args.version], args.restore)
    if not faults:
        count = {k: len(v) for k, v in all_of_it.volumes.items()}
        print(f"ok: {count}, {len(all_of_it.blocks)} blocks, versions with {[len(v) for v in versions]} entries")
    sys.exit(report())


if __name__ == "__main__":
    os.umask(0o022)
    main()

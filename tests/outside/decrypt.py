"""Decrypts every volume of a destination with pyAesCrypt, and checks the padding that Duplicati checks (W18).

    decrypt.py STORED PLAIN PASSPHRASE
"""

import os
import struct
import sys

import pyAesCrypt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pyAesCrypt.crypto import stretch


def padding_is_right(path, passphrase):
    """True when the last block is filled with octets of the value 16 - r, r being the length octet."""
    with open(path, "rb") as f:
        raw = f.read()
    pos = 5
    while True:
        (length,) = struct.unpack(">H", raw[pos : pos + 2])
        pos += 2 + length
        if length == 0:
            break
    iv1, sealed, body, r = raw[pos : pos + 16], raw[pos + 16 : pos + 64], raw[pos + 96 : -33], raw[-33]
    opened = decrypt(stretch(passphrase, iv1), iv1, sealed)
    plain = decrypt(opened[16:], opened[:16], body)
    return r < 16 and (r == 0 or plain[r - 16 :] == bytes([16 - r]) * (16 - r))


def decrypt(key, iv, data):
    d = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return d.update(data) + d.finalize()


def main():
    stored, plain, passphrase = sys.argv[1:4]
    bad = 0
    for name in sorted(os.listdir(stored)):
        path = os.path.join(stored, name)
        if not name.endswith(".aes"):
            print(f"W2 {name}: not encrypted")
            bad += 1
            continue
        pyAesCrypt.decryptFile(path, os.path.join(plain, name[:-4]), passphrase)
        if not padding_is_right(path, passphrase):
            print(f"W18 {name}: padding")
            bad += 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

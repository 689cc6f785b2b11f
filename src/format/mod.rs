//! Layer 1, the format side: bytes of Duplicati's remote format, in and out. Knows no file system and no network.

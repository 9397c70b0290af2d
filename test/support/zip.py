"""Reads a ZIP archive as Python does, and says as JSON what is in it."""

import hashlib
import json
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as archive:
    names = sys.argv[2:] or archive.namelist()
    print(
        json.dumps(
            {
                name: {
                    "size": entry.file_size,
                    "stored": entry.compress_type == zipfile.ZIP_STORED,
                    "time": "%04d-%02d-%02dT%02d:%02d:%02d" % entry.date_time,
                    "offset": entry.header_offset,
                    "sha256": hashlib.sha256(archive.read(name)).hexdigest(),
                }
                for name in names
                for entry in [archive.getinfo(name)]
            }
        )
    )

"""Makes what tests/lab/recovery restores. FOLDER gets two vaults, the paper with the key, its
passphrase, and what is in a router's image.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from restore.forging import member, seal, tar

from house import House, make_key, run


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir()
    key = make_key(folder / "admin")
    shutil.copy(key.passphrase, folder / "passphrase")
    run("key", "paper", key.private, "--passphrase-file", key.passphrase, "-o", folder / "paper.pdf")
    house = House(folder, key)
    house.configure('volume_size = "1M"', folders='include = ["/etc"]')
    house.start()
    try:
        house.backup()
        Path("/etc/nightdrop-lab.conf").write_text("changed\n")
        house.backup()
    finally:
        house.close()
    vault = house.mirrors[0].vault
    (vault / "router1").mkdir()
    settings = tar([(member("etc/config/network"), b"lab")])
    seal(vault / "router1" / "sysupgrade-full.20260102T030405Z.tar.p7m", key, settings)
    # As a script drops it in one piece, however large.
    image = os.urandom(3_000_000)
    (folder / "image").write_bytes(image)
    words = ["openssl", "smime", "-encrypt", "-binary", "-aes256", "-stream", "-outform", "DER"]
    sealed = vault / "router1" / "disk-full.20260102T030405Z.img.p7m"
    subprocess.run([*words, "-out", sealed, key.certificate], input=image, check=True)


if __name__ == "__main__":
    main()

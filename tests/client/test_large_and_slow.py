"""Volumes larger than the memory that a run may take, and a mirror that is slower than the other."""

from nightdrop.text import format_size

from gates import way_to
from house import House
from mirrors import NIGHTDROP, wait_until
from processes import memory_of_all


def test_memory_does_not_grow_with_volumes(house: House) -> None:
    """One of 300 MB: whoever held it whole anywhere would be found out."""
    house.configure('volume_size = "1G"', 'patience = "60s"', 'compress = "none"')
    with (house.source / "large").open("wb") as file:
        file.truncate(300_000_000)
    most = memory_of_all([*NIGHTDROP, "backup", "--config", house.config])
    assert len([name for name in house.names() if ".vol" in name]) == 1
    assert most < 250_000_000, format_size(most)


def test_a_slow_mirror_does_not_hold_the_other_one_up(house: House) -> None:
    """Mirror B is not sent the end of the first volume before mirror A has all of it."""
    (house.source / "file").write_bytes(bytes(range(256)) * 20_000)
    house.configure('volume_size = "10M"', 'patience = "60s"', 'compress = "none"')
    seen: list[list[bool]] = []

    def hold_back(_connection: int, before: int, piece: bytes) -> None:
        """Once on each connection that is sent a volume."""
        if before <= 1_000_000 < before + len(piece):
            wait_until(lambda: has_a_volume(house, 0), "mirror A has the first volume")
            seen.append([has_a_volume(house, mirror) for mirror in (0, 1)])

    slow = house.mirrors[1]
    with way_to(slow.port, hold_back) as port:
        house.bundle.write_text(house.bundle.read_text().replace(f":{slow.port}", f":{port}"))
        house.backup()
    assert seen[0] == [True, False]
    assert house.names(0) == house.names(1)


def has_a_volume(house: House, mirror: int) -> bool:
    return any(".vol1." in name for name in house.names(mirror))

"""An inventory of hosts that each have something wrong with one variable, or, for comparison, nothing.

`variables_inventory.py FILE wrong` prints for each host the variable that is to be complained of; `right`
makes hosts with which all is well.
"""

import sys
from pathlib import Path

import yaml

ROLES = {
    "mirrors": ["source", "check", "mirror"],
    "clients": ["source", "enrolment", "client"],
    "snowflakes": ["enrolment", "snowflake"],
}
NEEDED = {"mirror_url": "https://backup1.example.org:8443", "mirror_recipients": __file__}
OF_EACH_TYPE = {
    "str": "a, b",
    "path": "/a, b",
    "int": 7,
    "bool": True,
    "list": ["a", "b"],
    "dict": {"a": "b"},
}
# What a type takes besides what is its own.
TAKES = {"path": {"path", "str"}, "str": {"path", "str"}}
# Of the right type, and wrong.
MEANINGLESS = {
    "mirror_url": ["http://backup1.example.org", "backup1.example.org:8443", ""],
    "mirror_port": [0, 65536, "8443/tcp"],
    "mirror_recipients": ["/absent.pem", "/etc", ""],
    "mirror_configuration": ["/absent.toml"],
    "client_configuration": ["/absent.toml"],
    "enrolment_addresses": [["web1.example.org"], ["192.0.2.1/24"], [""]],
    "enrolment_name": ["Web1", "web1.", ""],
    "enrolment_quota": ["", "much", "1 Gb/s"],
    "client_volume_size": ["-1M", "200 megabytes"],
    "mirror_reserve": ["1,5G"],
    "check_late_after": ["3 days", "3d", ""],
    "check_full_late_after": ["3"],
    "check_scrub_time": ["10min"],
    "client_full_every": ["monthly"],
    "check_expect": [["web1"]],
    "check_mail_to": [[1]],
    "client_folders": [[["/etc"]]],
}
RIGHT = {
    "str": ["", "3D"],
    "path": ["/etc"],
    "int": [8443, "8443"],
    "bool": [True, False, "yes", "False"],
    "list": [[]],
    "dict": [{}, {"PIP_NO_INDEX": "1"}],
}
RIGHT_OF = {
    "mirror_url": [
        "https://[2001:db8::1]:8443/backups",
        "https://{{ inventory_hostname }}:{{ mirror_port }}",
    ],
    "mirror_recipients": ["site.yml", "{{ inventory_dir }}/inventory"],
    "mirror_configuration": ["", __file__],
    "client_configuration": ["", "site.yml"],
    "enrolment_name": ["web1", "{{ inventory_hostname_short | lower | replace('_', '-') }}"],
    "enrolment_quota": ["none", "1.5G", "4096"],
    "client_volume_size": ["200M"],
    "mirror_reserve": ["1 GiB"],
    "check_late_after": ["3D", "{{ check_full_late_after }}"],
    "check_full_late_after": ["5W"],
    "check_scrub_time": ["90s"],
    "client_full_every": ["30 D"],
    "enrolment_addresses": [["2001:db8::/32", "192.0.2.1"]],
    "enrolment_kind": ["shell", "duplicity"],
    "check_mail_security": ["tls"],
    "snowflake_system": ["openwrt"],
    "check_expect": [[{"host": "web1"}]],
}


def options(role: str) -> dict[str, dict[str, object]]:
    path = Path("ansible", "roles", role, "meta", "argument_specs.yml")
    return yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]


def wrong(name: str, option: dict[str, object]) -> list[object]:
    kind = str(option["type"])
    others = [value for other, value in OF_EACH_TYPE.items() if other not in TAKES.get(kind, {kind})]
    chosen = ["none of them"] if "choices" in option else []
    return [*others, *chosen, None, *MEANINGLESS.get(name, [])]


def main() -> None:
    path, what = sys.argv[1:]
    groups: dict[str, dict[str, object]] = {group: {} for group in ROLES}
    complaints = []

    def add(group: str, name: str, variables: dict[str, object]) -> None:
        host = f"{group}-{name}-{len(groups[group])}"
        groups[group][host] = variables
        complaints.append(f"{host} {name}")

    for group, roles in ROLES.items():
        needed = dict(NEEDED) if group == "mirrors" else {}
        for name, option in ((name, option) for role in roles for name, option in options(role).items()):
            values = (
                wrong(name, option) if what == "wrong" else RIGHT_OF.get(name, RIGHT[str(option["type"])])
            )
            for value in values:
                add(group, name, needed | {name: value})
            if what == "wrong" and option.get("required"):
                add(group, name, {other: value for other, value in needed.items() if other != name})
            if what == "wrong":
                add(group, f"{name}s", needed | {f"{name}s": "a typing error"})
    everybody = {"ansible_host": "127.0.0.1", "ansible_port": 1, "enrolment_addresses": ["2001:db8::1"]}
    if what == "wrong":
        print("\n".join(sorted(complaints)))
    inventory = {group: {"hosts": hosts} for group, hosts in groups.items()}
    Path(path).write_text(yaml.safe_dump({"all": {"vars": everybody}} | inventory))


main()

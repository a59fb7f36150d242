"""The policy of the door, as one table: what is asked, of what, by whom, and the answer."""

import hashlib
from collections.abc import Callable

import pytest

from mirrors import Reply, Served, basic, new_name, repr_digest

STORED = b"the bytes that came first"
OTHER = b"other bytes, equally long"
ELSEWHERE = "web2"

ALLOWED = "OPTIONS, PROPFIND, PUT"

# What is asked for, of what                     | answer to: the host itself, another host,
#                                                |            a wrong password, nobody
POLICY: list[tuple[str, str, int, int, int, int]] = [
    ("PUT", "a new name", 201, 403, 401, 401),
    ("PUT", "a new name, in chunks", 201, 403, 401, 401),
    ("PUT", "a new name, digest declared", 201, 403, 401, 401),
    ("PUT", "a new name, wrong digest", 400, 403, 401, 401),
    ("PUT", "the same bytes", 204, 403, 401, 401),
    ("PUT", "the same bytes, in chunks", 204, 403, 401, 401),
    ("PUT", "the same bytes, digest declared", 204, 403, 401, 401),
    ("PUT", "the same bytes, wrong digest", 409, 403, 401, 401),
    ("PUT", "other bytes", 409, 403, 401, 401),
    ("PUT", "other bytes, longer", 409, 403, 401, 401),
    ("PUT", "other bytes, in chunks", 409, 403, 401, 401),
    ("PUT", "other bytes, digest declared", 409, 403, 401, 401),
    ("PUT", "other bytes, digest of the first", 400, 403, 401, 401),
    ("PUT", "a bad name", 403, 403, 401, 401),
    ("PUT", "the folder", 403, 403, 401, 401),
    ("PUT", "an unknown folder", 403, 403, 401, 401),
    ("PROPFIND 0", "the folder", 207, 403, 401, 401),
    ("PROPFIND 1", "the folder", 207, 403, 401, 401),
    ("PROPFIND infinity", "the folder", 403, 403, 401, 401),
    ("PROPFIND", "the folder", 403, 403, 401, 401),
    ("PROPFIND 0", "the taken name", 207, 403, 401, 401),
    ("PROPFIND 0", "a new name", 404, 403, 401, 401),
    ("PROPFIND 1", "the root", 403, 403, 401, 401),
    ("OPTIONS", "the folder", 200, 403, 401, 401),
    ("OPTIONS", "the taken name", 200, 403, 401, 401),
    ("GET", "the taken name", 405, 405, 405, 405),
    ("GET", "the folder", 405, 405, 405, 405),
    ("HEAD", "the taken name", 405, 405, 405, 405),
    ("DELETE", "the taken name", 405, 405, 405, 405),
    ("DELETE", "the folder", 405, 405, 405, 405),
    ("MOVE", "the taken name", 405, 405, 405, 405),
    ("COPY", "the taken name", 405, 405, 405, 405),
    ("LOCK", "the taken name", 405, 405, 405, 405),
    ("LOCK", "a new name", 405, 405, 405, 405),
    ("UNLOCK", "the taken name", 405, 405, 405, 405),
    ("PROPPATCH", "the taken name", 405, 405, 405, 405),
    ("MKCOL", "a new name", 405, 405, 405, 405),
    ("POST", "a new name", 405, 405, 405, 405),
    ("PATCH", "the taken name", 405, 405, 405, 405),
    ("BREW", "the taken name", 405, 405, 405, 405),
]


@pytest.mark.parametrize("row", POLICY, ids=[f"{row[0]} {row[1]}" for row in POLICY])
def test_policy(served: Served, row: tuple[str, str, int, int, int, int]) -> None:
    """Who may do what. Only a 201 changes what is stored, and an error says why in a line."""
    asked, what, *answers = row
    taken = new_name()
    assert served.put(taken, STORED).status == 201
    who = [served.fields(), served.fields("web2"), basic("web1", "wrong"), {}]
    for fields, expected in zip(who, answers, strict=True):
        before = served.mirror.stored("web1"), served.mirror.stored("web2")
        answer = _ask(served, asked, what, taken, fields)
        assert answer.status == expected
        after = served.mirror.stored("web1"), served.mirror.stored("web2")
        if expected == 201:
            [created] = set(after[0]) - set(before[0])
            assert after[0].pop(created) == OTHER
        assert after == before
        _check_form(asked, answer)


def _ask(served: Served, asked: str, what: str, taken: str, fields: dict[str, str]) -> Reply:
    method, _, depth = asked.partition(" ")
    where, _, how = what.partition(", ")
    places: dict[str, Callable[[], str]] = {
        "a new name": lambda: f"/web1/{new_name()}",
        "a bad name": lambda: "/web1/notes.txt",
        "the folder": lambda: "/web1/",
        "an unknown folder": lambda: f"/web3/{new_name()}",
        "the root": lambda: "/",
    }
    path = places.get(where, lambda: f"/web1/{taken}")()
    body = STORED if where == "the same bytes" else OTHER + b"!" * (how == "longer")
    if depth:
        fields = fields | {"Depth": depth}
    if method != "PUT":
        return served.mirror.ask(method, path, None, fields)
    digests = {"digest declared": body, "wrong digest": b"neither", "digest of the first": STORED}
    if how in digests:
        fields = fields | {"Repr-Digest": repr_digest(digests[how])}
    if how == "in chunks":
        return _put_chunks(served, path, body, fields)
    return served.mirror.ask("PUT", path, body, fields)


def _put_chunks(served: Served, path: str, body: bytes, fields: dict[str, str]) -> Reply:
    pieces = iter([body[:3], body[3:]])
    connection = served.mirror.connection()
    try:
        connection.request("PUT", path, body=pieces, headers=fields, encode_chunked=True)
        response = connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def _check_form(asked: str, answer: Reply) -> None:
    if answer.status == 405:
        assert answer.fields["allow"] == ALLOWED
    if answer.status == 401:
        assert answer.fields["www-authenticate"].startswith("Basic realm=")
    if asked == "PUT" and answer.status in (201, 204):
        stored = OTHER if answer.status == 201 else STORED
        assert answer.fields["repr-digest"] == repr_digest(stored)
    if answer.status >= 400 and asked not in ("HEAD", "PROPFIND infinity", "PROPFIND", "PROPFIND 0"):
        assert answer.fields["content-type"].startswith("text/plain")
        assert answer.body.endswith(b"\n") and len(answer.body.splitlines()) == 1


def test_options_says_what_there_is(served: Served) -> None:
    answer = served.mirror.ask("OPTIONS", "/web1/", None, served.fields())
    assert (answer.fields["allow"], answer.fields["dav"]) == (ALLOWED, "1")


def test_propfind_lists_names_and_sizes(served: Served) -> None:
    name = new_name()
    served.put(name, b"x" * 1234)
    answer = served.mirror.ask("PROPFIND", "/web1/", None, served.fields() | {"Depth": "1"})
    assert f"/web1/{name}<".encode() in answer.body
    assert b"1234<" in answer.body


def test_propfind_of_huge_body_is_refused(served: Served) -> None:
    fields = served.fields() | {"Depth": "1"}
    assert served.mirror.ask("PROPFIND", "/web1/", b"<" * 70_000, fields).status == 413


def test_propfind_of_entity_bomb_is_refused(served: Served) -> None:
    entities = b'<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">'
    bomb = b"<!DOCTYPE x [" + entities + b']><propfind xmlns="DAV:">&b;</propfind>'
    answer = served.mirror.ask("PROPFIND", "/web1/", bomb, served.fields() | {"Depth": "1"})
    assert answer.status == 400


def test_refused_overwrite_is_noted_for_the_check(http: Served) -> None:
    from nightdrop.ledger import Ledger

    name = new_name()
    http.put(name, STORED)
    http.put(name, OTHER)
    ledger = Ledger(http.mirror.ledger)
    try:
        [refusal] = [refusal for refusal in ledger.refusals() if refusal.name == name]
        assert (refusal.host, refusal.address) == ("web1", "127.0.0.1")
        drop = ledger.drop("web1", name)
        assert drop is not None
        assert (drop.size, drop.sha256) == (len(STORED), hashlib.sha256(STORED).hexdigest())
    finally:
        ledger.close()


@pytest.mark.parametrize("field", ["Content-Range: bytes 0-1/2", "Content-Encoding: gzip"])
def test_partial_or_coded_put_is_refused(http: Served, field: str) -> None:
    name, _, value = field.partition(": ")
    fields = http.fields() | {name: value}
    assert http.mirror.ask("PUT", f"/web1/{new_name()}", b"xx", fields).status == 400


def test_put_without_length_is_refused(http: Served) -> None:
    path = f"/web1/{new_name()}"
    head = "".join(f"{name}: {value}\r\n" for name, value in http.fields().items())
    with http.mirror.connect() as sock:
        sock.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize(
    "digest", ["sha-256=:AAAA:", "sha-256=abc", "sha-512=:AA==:, sha-256=::", 'sha-256="x"']
)
def test_malformed_digest_is_refused(http: Served, digest: str) -> None:
    assert http.put(new_name(), b"x", Repr_Digest=digest).status == 400


def test_digest_of_another_kind_is_ignored(http: Served) -> None:
    assert http.put(new_name(), b"x", Repr_Digest="sha-512=:AAAA:").status == 201


def test_ledger_is_repaired_where_a_kill_left_no_entry(https: Served) -> None:
    import sqlite3

    name = new_name()
    https.put(name, STORED)
    with sqlite3.connect(https.mirror.ledger) as database:
        database.execute("DELETE FROM drops WHERE name = ?", (name,))
    assert https.put(name, STORED).status == 204
    with sqlite3.connect(https.mirror.ledger) as database:
        [(digest,)] = database.execute("SELECT sha256 FROM drops WHERE name = ?", (name,)).fetchall()
    assert digest == hashlib.sha256(STORED).hexdigest()

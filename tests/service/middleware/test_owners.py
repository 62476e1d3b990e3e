"""Owners of API keys: named keys, their rotation, and the owner that a request has."""

import hashlib
import re

import httpx
import pytest
from pydantic import ValidationError
from starlette.responses import JSONResponse
from starlette.routing import Route

from service import keys
from service.cli import main
from service.keys import EVERYONE, OWNER_NAME, UNNAMED_MARK, Keyring, hashed, owners_by_digest, read_keys
from service.main import create_app
from service.middleware.api_key import MAX_KEEP_ALIVE_BODY_BYTES, owner_of
from service.settings import Settings
from tests.server import log_lines, running_server
from tests.service.problem_documents import check

OLD, NEW, OTHER, LONE = "old-key-4711", "new-key-0815", "other-key-42", "lone-key-99=="

REQUEST = {"query": [[1.0]], "key": [[1.0]]}


def digest(key):
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def ring_of(*entries, file=None):
    return Keyring([hashed(entry) for entry in entries], file)


def owners(ring, *presented):
    return [ring.owner_of(key.encode()) for key in presented]


@pytest.mark.parametrize(
    ("entry", "stored"),
    [
        (f"team-a={digest(OLD)}", f"team-a={digest(OLD)}"),
        (f"Team_A.9={digest(OLD).upper().replace('SHA', 'sha')}", f"Team_A.9={digest(OLD)}"),
        (f"team-a=plain:{OLD}", f"team-a={digest(OLD)}"),
        ("a=plain:plain:b", f"a={digest('plain:b')}"),
        ("a=plain:b=plain:c", f"a={digest('b=plain:c')}"),
        (f"a=plain:{digest(OLD)}", f"a={digest(digest(OLD))}"),
        (f"{'n' * 64}=plain:k", f"{'n' * 64}={digest('k')}"),
    ],
)
def test_a_name_stands_before_a_digest_or_a_plain_key(entry, stored):
    assert hashed(entry) == stored
    assert hashed(stored) == stored


@pytest.mark.parametrize(
    "key", ["c2VjcmV0", "c2VjcmU=", "c2VjcmV0IQ==", "team-a=secret", "a=b=c", "==", "=a", "a=sha256", "a=plain",
            "plain:secret", "team-a:plain:secret", "a=SHA256:b", "a=sha-256:b"],
)  # fmt: skip
def test_a_key_with_an_equals_sign_is_the_whole_entry_as_ever(key):
    assert hashed(key) == digest(key)
    (owner,) = owners(ring_of(key), key)
    assert owner.startswith(UNNAMED_MARK)
    assert owners(ring_of(key), key.partition("=")[2], key.partition(":")[2]) == [None, None]


@pytest.mark.parametrize(
    "name", ["", "-team", ".", "..", "_team", "té", "te am", "a/b", "a=b", "a:b", "n" * 65, "a\n", "%2e"]
)
@pytest.mark.parametrize("scheme", ["plain:hidden-0815", digest("hidden-0815")])
def test_another_form_of_name_is_an_error_that_repeats_nothing(name, scheme):
    with pytest.raises(ValueError, match=r"expected a name before =(plain|sha256):") as refused:
        hashed(f"{name}={scheme}")
    assert not re.search(r"hidden|[0-9a-f]{8}|te am|té|a/b|nnn", str(refused.value))


@pytest.mark.parametrize("entry", ["team-a=sha256:", "team-a=sha256:12", "team-a=sha256:" + "g" * 64,
                                   "team-a=plain:", "team-a=plain:two words", "team-a=plain:clé", "="])  # fmt: skip
def test_a_named_entry_without_a_right_key_is_an_error_that_repeats_nothing(entry):
    with pytest.raises(ValueError, match="expected") as refused:
        hashed(entry)
    assert not re.search(r"two words|clé|ggg|=12", str(refused.value))


@pytest.mark.parametrize("text", [f"team-a = {digest(OLD)}", f"team-a ={digest(OLD)}"])
def test_spaces_around_the_sign_make_no_key_of_the_name(monkeypatch, capsys, text):
    monkeypatch.setenv("ATTENTION_API_KEYS", text)
    assert main(["serve"]) == 2
    assert "without spaces" in capsys.readouterr().err


def test_keys_of_one_name_are_one_owner_and_a_key_without_a_name_is_its_own():
    ring = ring_of(f"team-a=plain:{OLD}", f"team-a={digest(NEW)}", f"team-b=plain:{OTHER}", LONE, "lone-2")
    first, second, third, lone, lone_2, unknown = owners(ring, OLD, NEW, OTHER, LONE, "lone-2", "guess")
    assert first == second == "team-a"
    assert third == "team-b"
    assert len({first, third, lone, lone_2, EVERYONE}) == 5
    assert unknown is None


def test_the_name_of_an_owner_is_no_key():
    ring = ring_of(f"team-a=plain:{OLD}", LONE)
    lone = ring.owner_of(LONE.encode())
    assert owners(ring, "team-a", f"team-a=plain:{OLD}", f"team-a={digest(OLD)}", digest(OLD), lone, "") == [None] * 6


def test_an_owner_without_a_name_shows_neither_key_nor_digest_and_is_no_name():
    owner = ring_of(LONE).owner_of(LONE.encode())
    digits = hashlib.sha256(LONE.encode()).hexdigest()
    assert re.fullmatch("_[0-9a-f]{32}", owner)
    assert not OWNER_NAME.fullmatch(owner)
    assert not OWNER_NAME.fullmatch(EVERYONE)
    assert not any(digits[first : first + 8] in owner for first in range(57))
    # The same after a restart, and from the digest instead of the key.
    assert ring_of("another", digest(LONE)).owner_of(LONE.encode()) == owner
    # Stored memories depend on it.
    assert owner == "_" + hashlib.blake2b(bytes.fromhex(digits), digest_size=16, person=b"attention-owner").hexdigest()


def test_a_key_may_come_twice_but_not_under_two_names():
    assert len(owners_by_digest([f"a={digest(OLD)}", f"a={digest(OLD)}", digest(LONE), digest(LONE)])) == 2
    for second, both in ((f"team-b={digest(OLD)}", "as team-a and as team-b"), (digest(OLD), "as team-a and without")):
        with pytest.raises(ValueError, match=both) as refused:
            owners_by_digest([f"team-a={digest(OLD)}", second])
        assert digest(OLD)[7:15] not in str(refused.value)


@pytest.mark.parametrize("inside", [True, False])
def test_a_key_under_two_names_ends_the_start_and_is_not_shown(tmp_path, monkeypatch, capsys, inside):
    file = tmp_path / "keys"
    file.write_text(f"team-a=plain:{OLD}\n" * 2 + f"team-b=plain:{OLD if inside else NEW}\n")
    monkeypatch.setenv("ATTENTION_API_KEYS", f"team-a=plain:{NEW}")
    monkeypatch.setenv("ATTENTION_API_KEYS_FILE", str(file))
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert main(["serve"]) == 2
    shown = capsys.readouterr().err
    assert "as team-a and as team-b" in shown
    for text in (shown, str(refused.value)):
        assert not [secret for secret in (OLD, NEW, digest(OLD), digest(NEW)) if secret in text]


def test_no_text_of_an_error_shows_the_settings(monkeypatch):
    """As the traceback of a server that starts the application without our command line."""
    monkeypatch.setenv("ATTENTION_API_KEYS", "team-a=plain:hidden-é,hidden-0815")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "hidden" not in str(refused.value)


def test_a_file_has_names_too_and_errors_name_the_line(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# team a\nteam-a=plain:{OLD} # until May\n{LONE}\n")
    assert read_keys(file) == (f"team-a={digest(OLD)}", digest(LONE))
    file.write_text(f"{LONE}\nteam a=plain:{OLD}\n")
    with pytest.raises(ValueError, match="line 2: expected a name before =plain:") as refused:
        read_keys(file)
    assert OLD not in str(refused.value)


@pytest.mark.parametrize("in_setting", [f"team-a=plain:{OTHER}", LONE])
def test_rotation_keeps_the_owner_at_every_step(tmp_path, monkeypatch, in_setting):
    monkeypatch.setattr(keys, "LOOK_SECONDS", 0)
    file = tmp_path / "keys"
    file.write_text(f"team-a=plain:{OLD}")
    ring = ring_of(in_setting, file=file)
    assert owners(ring, OLD, NEW) == ["team-a", None]
    file.write_text(f"team-a=plain:{OLD}\nteam-a={digest(NEW)}\n")
    assert owners(ring, OLD, NEW) == ["team-a", "team-a"]
    file.write_text(f"team-a={digest(NEW)}")
    assert owners(ring, OLD, NEW) == [None, "team-a"]
    assert None not in owners(ring, OTHER if OTHER in in_setting else LONE)


@pytest.mark.parametrize(
    "content", [f"team-b=plain:{OLD}", f"team-a=plain:{NEW}\nteam-b=plain:{NEW}", f"te am=plain:{NEW}"]
)
def test_a_file_that_gives_a_key_a_second_owner_changes_nothing(tmp_path, monkeypatch, caplog, content):
    monkeypatch.setattr(keys, "LOOK_SECONDS", 0)
    monkeypatch.setattr(keys.error_log, "propagate", True)
    file = tmp_path / "keys"
    file.write_text(f"team-a=plain:{NEW}")
    ring = ring_of(f"team-a=plain:{OLD}", file=file)
    file.write_text(content)
    assert owners(ring, OLD, NEW) == ["team-a", "team-a"]
    assert "previous keys stay in force" in caplog.text
    assert not [secret for secret in (OLD, NEW, digest(OLD)[7:], digest(NEW)[7:]) if secret in caplog.text]


def test_every_comparison_goes_to_its_end_whoever_the_key_belongs_to(monkeypatch):
    compared = []

    def compare(known, presented):
        compared.append(known)
        return known == presented

    monkeypatch.setattr(keys, "compare_digest", compare)
    ring = ring_of(f"team-a=plain:{OLD}", f"team-a=plain:{NEW}", f"team-b=plain:{OTHER}", LONE, LONE)
    for presented in (OLD, NEW, OTHER, LONE, "guess", ""):
        compared.clear()
        owners(ring, presented)
        assert len(compared) == 4


@pytest.fixture(params=[True, False])
async def asking(request):
    """A client of an application with a route that answers the owner; with keys, and without."""
    entries = [f"team-a=plain:{OLD}", f"team-a=plain:{NEW}", f"team-b=plain:{OTHER}", LONE] if request.param else []
    app = create_app(Settings(log_level="error", api_keys=entries))
    for path in ("/v1/owner", "/v1/examples/owner/owner"):
        app.router.routes.append(Route(path, lambda request: JSONResponse(owner_of(request.scope))))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://app") as client:
        yield client, request.param


async def test_a_request_has_the_owner_of_its_key(asking):
    client, asks = asking
    lone = ring_of(LONE).owner_of(LONE.encode())
    for key, owner in ((OLD, "team-a"), (NEW, "team-a"), (OTHER, "team-b"), (LONE, lone), (OLD, "team-a")):
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
            response = await client.get("/v1/owner", headers=headers)
            assert response.json() == (owner if asks else EVERYONE)
    # A path that needs no key belongs to everyone, also behind a request that had one.
    assert (await client.get("/v1/examples/owner/owner")).json() == EVERYONE


@pytest.mark.parametrize(
    ("bearer", "header", "owner"),
    [(OLD, OLD, "team-a"), (OLD, NEW, "team-a"), (OTHER, "guess", "team-b"), ("guess", OTHER, "team-b"),
     (OLD, OTHER, None), (OTHER, OLD, None), (LONE, OLD, None)],
)  # fmt: skip
async def test_two_valid_keys_are_of_one_owner(asking, bearer, header, owner):
    client, asks = asking
    headers = {"Authorization": f"Bearer {bearer}", "X-API-Key": header}
    response = await client.get("/v1/owner", headers=headers)
    if owner or not asks:
        assert response.json() == (owner if asks else EVERYONE)
    else:
        check(response, 400, "malformed-body")
        assert "of one owner" in response.json()["detail"]


@pytest.mark.soak
async def test_a_server_refuses_keys_of_two_owners_and_logs_no_key(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"team-a=plain:{OLD}\nteam-a={digest(NEW)}\nteam-b=plain:{OTHER}\n")
    with running_server(tmp_path, API_KEYS=LONE, API_KEYS_FILE=str(file)) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            for bearer, header, status in (
                (OLD, NEW, 200),
                (OLD, OTHER, 400),
                (LONE, OTHER, 400),
                (LONE, OLD[:-1], 200),
            ):
                headers = {"Authorization": f"Bearer {bearer}", "X-API-Key": header}
                response = await client.post("/v1/attention", json=REQUEST, headers=headers)
                assert response.status_code == status
                assert "connection" not in response.headers
            large = bytes(MAX_KEEP_ALIVE_BODY_BYTES + 1)
            headers = {"Authorization": f"Bearer {OLD}", "X-API-Key": OTHER}
            response = await client.post("/v2/models/dot_product/infer", content=large, headers=headers)
            assert response.status_code == 400
            assert response.headers["connection"] == "close"
            assert response.json()["error"] == response.json()["detail"]
        log_lines(server, '"message":"request"', 5)
    log = server.log.read_text()
    assert log.count('"status":400') == 3
    lone = ring_of(LONE).owner_of(LONE.encode())
    secrets = [text for key in (OLD, NEW, OTHER, LONE) for text in (key, digest(key)[7:])]
    assert not [secret for secret in (*secrets, lone) if secret in log]

"""Drives PyFxA, as a program that uses it would, from sign-up to storage and through resets to the end.

Its one argument is the server's address. What a person would have to read is asked for on standard output and answered
on standard input, a line of JSON each: {"ask": "mail"} for the lines of the next mail, {"ask": "operator", "name": …}
for what the operator's command says of an account. The exit code says whether all went well.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import fxa
import fxa.core
import fxa.crypto
import fxa.oauth
import fxa.profile
import requests
from fxa._utils import APIClient, BearerTokenAuth
from fxa.errors import ClientError, ServerError
from fxa.plugins.requests import FxABearerTokenAuth

SERVER = sys.argv[1]
ANN, BEA = "ann@example.org", "bea@example.org"
OLD, NEW, NEWER, NEWEST = "old horse", "nèw horse", "newer horse", "newest horse"
DESKTOP = "5882386c6d801776"
OLDSYNC = "https://identity.mozilla.com/apps/oldsync"
OUTSIDE = {"X-Forwarded-For": "192.0.2.1"}


def ask(what, **more):
    print(json.dumps({"ask": what, **more}), flush=True)
    return json.loads(sys.stdin.readline())


def say(text):
    print(text, file=sys.stderr, flush=True)


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


@contextmanager
def refused(errno, kind=ClientError, **details):
    """What is inside must be refused with that number and these details, and with nothing else."""
    try:
        yield
    except kind as error:
        same(error.errno, errno)
        for name, value in details.items():
            same(error.details[name], value)
    else:
        raise AssertionError(f"not refused with {errno}")


def client(version=1):
    made = fxa.core.Client(SERVER, key_stretch_version=version)
    # Who comes through a proxy is not at the machine itself, so that addresses have to be confirmed.
    made.apiclient.headers.update(OUTSIDE)
    return made


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Store:
    """A store, reached by way of an OAuth token and the tokenserver."""

    def __init__(self, session, kb):
        oauth = fxa.oauth.Client(DESKTOP, server_url=SERVER)
        token = oauth.authorize_token(session, OLDSYNC)
        told = session.apiclient.post(
            "/account/scoped-key-data", {"client_id": DESKTOP, "scope": OLDSYNC}, auth=session._auth
        )
        rotated = told[OLDSYNC]["keyRotationTimestamp"]
        self.kid = f"{rotated}-{base64url(hashlib.sha256(kb).digest()[:16])}"
        self.pass_ = APIClient(SERVER).get(
            "/1.0/sync/1.5", auth=BearerTokenAuth(token), headers={"X-KeyID": self.kid}
        )
        same(self.pass_["hashalg"], "sha256")

    @property
    def uid(self):
        return self.pass_["uid"]

    def call(self, method, path, body=None):
        url = f"{self.pass_['api_endpoint']}{path}"
        data = None if body is None else json.dumps(body).encode()
        heads = {"Authorization": self.sign(method, url), "Content-Type": "application/json"}
        answer = requests.request(method, url, data=data, headers=heads, timeout=30)
        same(answer.status_code, 200)
        return answer.json()

    def sign(self, method, url):
        """A Hawk signature; PyFxA has none any more."""
        parts, now, nonce = urlsplit(url), int(time.time()), hashlib.sha256(str(time.time_ns()).encode()).hexdigest()[:8]
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = ["hawk.1.header", str(now), nonce, method, target, parts.hostname, str(parts.port), "", "", ""]
        mac = hmac.digest(self.pass_["key"].encode(), "\n".join(lines).encode(), "sha256")
        return f'Hawk id="{self.pass_["id"]}", ts="{now}", nonce="{nonce}", mac="{base64.b64encode(mac).decode()}"'


def sign_up(people):
    same(len(people.get_random_bytes()), 32)
    session = people.create_account(ANN, OLD, keys=True, service="sync", redirectTo="https://example.org/", resume="x")
    session.check_session_status()
    same(session.get_email_status()["verified"], False)
    with refused(104):
        session.fetch_keys()
    first = ask("mail")
    session.resend_email_code(service="sync")
    link = next(line for line in ask("mail") if "/confirm_address#" in line)
    assert link in first, "asked for again it is the same"
    with refused(105):
        session.verify_email_code("0" * 32)
    session.verify_email_code(link.rsplit(".", 1)[1])
    same(session.get_email_status()["verified"], True)
    # Until now the address was but claimed.
    with refused(101, email=ANN):
        people.create_account("Ann@example.org", OLD)
    return session


def sign_in(people):
    with refused(103):
        people.login(ANN, "wrong")
    with refused(102):
        people.login(BEA, OLD)
    session = people.login(ANN, OLD, keys=True, reason="signin", verification_method="email-2fa")
    same(session.verified, True)
    ka, kb = session.fetch_keys()
    same((len(ka), len(kb)), (32, 32))
    # Stretched with what was typed it is wrong, and the registered spelling is told; stretched with that it passes.
    with refused(120, email=ANN):
        people.login("Ann@example.org", OLD)
    stretched = fxa.crypto.quick_stretch_password(ANN, OLD)
    same(people.login("Ann@example.org", stretchpwd=stretched, keys=True).fetch_keys()[1], kb)
    return session, kb


def tokens(session):
    oauth = fxa.oauth.Client(DESKTOP, server_url=SERVER)
    same(oauth.get_client_metadata()["id"], DESKTOP)
    token = oauth.authorize_token(session, f"profile {OLDSYNC}")
    found = oauth.verify_token(token, "profile")
    same((found["user"], found["client_id"]), (session.uid, DESKTOP))
    profile = fxa.profile.Client(SERVER)
    same(profile.get_profile(token)["email"], ANN)
    same((profile.get_email(token), profile.get_uid(token)), (ANN, session.uid))
    assert profile.get_avatar_url(token).startswith(SERVER)
    oauth.destroy_token(token)
    with refused(108):
        fxa.oauth.Client(DESKTOP, server_url=SERVER, cache=None).verify_token(token)
    # The plug-in for requests does all of it from the password.
    plugin = FxABearerTokenAuth(ANN, OLD, ["profile"], DESKTOP, SERVER, SERVER)
    same(requests.get(f"{SERVER}/v1/uid", auth=plugin, timeout=30).json()["uid"], session.uid)


def second_stretching(kb):
    """What asks for version 2 is told, and goes on with version 1."""
    with refused(107, validation="authPWVersion2"):
        client(2).create_account(BEA, OLD)
    session = client(2).login(ANN, OLD, keys=True)
    same(session.fetch_keys()[1], kb)
    session.destroy_session()
    with refused(110):
        session.check_session_status()


def change(people, session, kb):
    session.change_password(OLD, NEW)
    session.check_session_status()
    ask("mail")
    with refused(103):
        people.login(ANN, OLD)
    session = people.login(ANN, NEW, keys=True)
    same(session.fetch_keys()[1], kb)
    return session


def reset(people, read, password):
    forgotten = people.send_reset_code(ANN, service="sync")
    code = read()
    # Asked for again it is the same code.
    forgotten.resend_code()
    same(read(), code)
    with refused(105):
        forgotten.verify_code("00000000" if code != "00000000" else "00000001")
    same((len(code), code.isdigit()), (8, True))
    token = forgotten.verify_code(code)
    same(forgotten.email_to_hash_with, ANN)
    people.reset_account(forgotten.email_to_hash_with, token, password)
    with refused(105):
        forgotten.verify_code(code)
    with refused(110):
        people.reset_account(ANN, token, password)
    session = people.login(ANN, password, keys=True)
    same(session.uid, forgotten.uid)
    return session, session.fetch_keys()[1]


def mailed_digits():
    # The third line of every mail is what it brings.
    return ask("mail")[2]


def operators_digits():
    ask("mail")
    said = ask("operator", name=ANN)
    return next(word for word in said.split() if len(word) == 8 and word.isdigit())


def leave(people, uid):
    same(people.get_account_status(uid)["exists"], True)
    people.destroy_account(ANN, NEWEST)
    same(people.get_account_status(uid)["exists"], False)
    with refused(102):
        people.login(ANN, NEWEST)
    # Whoever never confirmed an address may leave, too.
    people.create_account(BEA, OLD)
    ask("mail")
    with refused(102):
        people.send_reset_code(BEA)
    people.destroy_account(BEA, OLD)
    with refused(102):
        people.login(BEA, OLD)


def main():
    same(fxa.__version__, "0.9.0")
    people = client()
    say("sign-up")
    created = sign_up(people)
    say("sign-in and keys")
    session, kb = sign_in(people)
    say("tokens and profile")
    tokens(session)
    same(session.totp_exists(), False)
    with refused(202, ServerError):
        session.mfa_request_otp("2fa")
    say("storage")
    store = Store(session, kb)
    store.call("PUT", "/storage/bookmarks/abcdefghijkl", {"payload": "sealed"})
    same(store.call("GET", "/storage/bookmarks/abcdefghijkl")["payload"], "sealed")
    say("the other way of stretching")
    second_stretching(kb)
    say("another password")
    session = change(people, session, kb)
    with refused(110):
        created.check_session_status()
    kept = Store(session, kb)
    same((kept.uid, kept.kid), (store.uid, store.kid))
    same(kept.call("GET", "/storage/bookmarks/abcdefghijkl")["payload"], "sealed")
    say("a reset by mail")
    session, fresh = reset(people, mailed_digits, NEWER)
    assert fresh != kb, "a reset makes a new key"
    ask("mail")
    renewed = Store(session, fresh)
    assert renewed.uid != store.uid, "and with it a new store"
    same(renewed.call("GET", "/info/collections"), {})
    renewed.call("PUT", "/storage/bookmarks/abcdefghijkl", {"payload": "sealed anew"})
    same(renewed.call("GET", "/storage/bookmarks?full=1")[0]["payload"], "sealed anew")
    say("a reset by the operator")
    session, last = reset(people, operators_digits, NEWEST)
    assert last not in (kb, fresh), "and another one"
    ask("mail")
    say("the end")
    leave(people, session.uid)


main()

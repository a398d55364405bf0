"""A mail server that tells on standard output, a line of JSON each, where it listens and what it was given.

Its one argument is a JSON object: `port` (0: any), `tls` ("none", "starttls", "tls") with `cert` and `key`, `login`
([name, password]), `answers` (to recipients, in turn; afterwards all are welcome), `senders` and `texts` (the same to
senders and to whole letters), `utf8`, `hold`: letters are taken only after a line came in on standard input, `scan`: so
many seconds until a letter is taken, `mute`: nobody's farewell is answered, and `small`: what it can do is said in small
letters.
"""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

wishes = json.loads(sys.argv[1])
answers = list(wishes.get("answers", []))
senders = list(wishes.get("senders", []))
texts = list(wishes.get("texts", []))
released = asyncio.Event()


def tell(**what):
    print(json.dumps(what), flush=True)


def check(server, session, envelope, mechanism, data):
    given = [data.login.decode(), data.password.decode()]
    tell(tried=mechanism, tls=server.transport.get_extra_info("sslcontext") is not None, right=given == wishes["login"])
    # Not handled: the library says so to the client.
    return AuthResult(success=given == wishes["login"], handled=False)


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [line.lower() for line in responses] if wishes.get("small") else responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = senders.pop(0) if senders else "250 welcome"
        if answer.startswith("250"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        else:
            tell(refused=answer)
        return answer

    async def handle_QUIT(self, server, session, envelope):
        if wishes.get("mute"):
            await asyncio.Event().wait()
        return "221 bye"

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = answers.pop(0) if answers else "250 welcome"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        else:
            tell(refused=answer)
        return answer

    async def handle_DATA(self, server, session, envelope):
        if wishes.get("hold"):
            tell(holding=True)
            await released.wait()
        if texts:
            tell(refused=texts[0])
            return texts.pop(0)
        await asyncio.sleep(wishes.get("scan", 0))
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = {part.get_content_type(): part.get_content() for part in letter.walk() if not part.is_multipart()}
        tell(
            sender=envelope.mail_from,
            to=envelope.rcpt_tos,
            hello=session.host_name,
            tls=server.transport.get_extra_info("sslcontext") is not None,
            heads=[[name, str(value)] for name, value in letter.items()],
            defects=[str(defect) for defect in letter.defects],
            text=body.get("text/plain"),
            html=body.get("text/html"),
        )
        return "250 taken"


async def main():
    loop = asyncio.get_running_loop()
    tls = wishes.get("tls", "none")
    context = None
    if tls != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(wishes["cert"], wishes["key"])
    options = {"hostname": "mail.test", "enable_SMTPUTF8": wishes.get("utf8", False), "loop": loop}
    if tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if "login" in wishes:
        # Under TLS from the first byte the library does not know that there is TLS.
        options |= {"authenticator": check, "auth_required": True, "auth_require_tls": tls == "starttls"}
    start = lambda: SMTP(Handler(), **options)
    server = await loop.create_server(
        start, "127.0.0.1", wishes.get("port", 0), ssl=context if tls == "tls" else None
    )
    tell(port=server.sockets[0].getsockname()[1])
    # Ends with whoever started it.
    while await loop.run_in_executor(None, sys.stdin.readline):
        released.set()
    # Connections may still be open; nobody waits for them.
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())

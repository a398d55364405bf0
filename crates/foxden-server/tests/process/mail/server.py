"""A mail server that tells on standard output, a line of JSON each, where it listens and what it was given.

Its one argument is a JSON object: `port` (0: any), `tls` ("none", "starttls", "tls") with `cert` and `key`, `login`
([name, password]), `answers` (to recipients, in turn; afterwards all are welcome), `senders` and `texts` (the same to
senders and to whole mails), `utf8`, `hold`: mails are taken only after a line came in on standard input, `scan`: so
many seconds until a mail is taken, `mute`: QUIT gets no answer, and `small`: extensions are listed in lower
case.
"""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

config = json.loads(sys.argv[1])
answers = list(config.get("answers", []))
senders = list(config.get("senders", []))
texts = list(config.get("texts", []))
released = asyncio.Event()


def tell(**what):
    print(json.dumps(what), flush=True)


def check(server, session, envelope, mechanism, data):
    given = [data.login.decode(), data.password.decode()]
    tell(tried=mechanism, tls=server.transport.get_extra_info("sslcontext") is not None, right=given == config["login"])
    # Not handled: the library says so to the client.
    return AuthResult(success=given == config["login"], handled=False)


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [line.lower() for line in responses] if config.get("small") else responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = senders.pop(0) if senders else "250 welcome"
        if answer.startswith("250"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        else:
            tell(refused=answer)
        return answer

    async def handle_QUIT(self, server, session, envelope):
        if config.get("mute"):
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
        if config.get("hold"):
            tell(holding=True)
            await released.wait()
        if texts:
            tell(refused=texts[0])
            return texts.pop(0)
        await asyncio.sleep(config.get("scan", 0))
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = {part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()}
        tell(
            sender=envelope.mail_from,
            to=envelope.rcpt_tos,
            hello=session.host_name,
            tls=server.transport.get_extra_info("sslcontext") is not None,
            heads=[[name, str(value)] for name, value in message.items()],
            defects=[str(defect) for defect in message.defects],
            text=body.get("text/plain"),
            html=body.get("text/html"),
        )
        return "250 taken"


async def main():
    loop = asyncio.get_running_loop()
    tls = config.get("tls", "none")
    context = None
    if tls != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(config["cert"], config["key"])
    options = {"hostname": "mail.test", "enable_SMTPUTF8": config.get("utf8", False), "loop": loop}
    if tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if "login" in config:
        # Under TLS from the first byte the library does not know that there is TLS.
        options |= {"authenticator": check, "auth_required": True, "auth_require_tls": tls == "starttls"}
    start = lambda: SMTP(Handler(), **options)
    server = await loop.create_server(
        start, "127.0.0.1", config.get("port", 0), ssl=context if tls == "tls" else None
    )
    tell(port=server.sockets[0].getsockname()[1])
    # Ends with its parent process.
    while await loop.run_in_executor(None, sys.stdin.readline):
        released.set()
    # Open connections are dropped.
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())

#!/usr/bin/env bash
# nginx 1.22.1 (Debian 12): what $1 holds after a regular expression depends on the rest of the request.
#
# One would expect `if ($request_uri ~ ^/a(/.*)$) { set $rest $1; }` to copy a part of $request_uri, which nginx keeps as
# it came. nginx copies $1 through its escaping for queries if the path of the request had any escape in it: `%7E` becomes
# `%257E`, in whatever variable the capture was taken from. Without an escape in the path, `%7E` in the query is left alone.
# A named capture, `(?<rest>/.*)`, is copied as it is, from the same expression on the same text.
#
# Seen (what the server behind got):
#   numbered: /a/x%7Ey     -> /x%257Ey
#   numbered: /a/x~y?z=%7E -> /x~y?z=%7E
#   numbered: /a/%41?z=%7E -> /%2541%3Fz=%257E
#   named:    /a/x%7Ey     -> /x%7Ey
#   named:    /a/x~y?z=%7E -> /x~y?z=%7E
#   named:    /a/%41?z=%7E -> /%41?z=%7E
#
# Foxden: requests are signed over their paths, so the operator's book cuts a path off with a named capture, and
# the tests run that block.
set -euo pipefail

version=1.22.1-9+deb12u11
folder=$(mktemp -d)
nginx=''
trap '[ -z "$nginx" ] || kill "$nginx" 2>/dev/null || true; rm -rf "$folder"' EXIT

cd "$folder"
timeout 120 apt-get -q download "nginx=$version" >/dev/null 2>&1
dpkg-deb -x nginx_*.deb .

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
port=$(free_port)
cat >nginx.conf <<EOF
daemon off; master_process off; pid $folder/pid; error_log $folder/log;
events {}
http {
    access_log off;
    client_body_temp_path $folder/body; proxy_temp_path $folder/proxy; fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi; scgi_temp_path $folder/scgi;
    server {
        listen 127.0.0.1:$port;
        server_name numbered;
        location /a/ {
            if (\$request_uri ~ ^/a(/.*)\$) { set \$rest \$1; }
            proxy_pass http://127.0.0.1:$port/behind\$rest;
            proxy_set_header Host behind;
        }
    }
    server {
        listen 127.0.0.1:$port;
        server_name named;
        location /a/ {
            if (\$request_uri ~ ^/a(?<left>/.*)\$) { set \$unused 1; }
            proxy_pass http://127.0.0.1:$port/behind\$left;
            proxy_set_header Host behind;
        }
    }
    server {
        listen 127.0.0.1:$port;
        server_name behind;
        location / { return 200 "\$request_uri\n"; }
    }
}
EOF
usr/sbin/nginx -p "$folder" -e "$folder/log" -c "$folder/nginx.conf" &
nginx=$!
ask() { timeout 10 curl -s --path-as-is -H "Host: $1" "http://127.0.0.1:$port$2" | sed 's,^/behind,,'; }
for _ in $(seq 100); do
    ask behind / >/dev/null && break
    sleep 0.1
done

changed=0
check() {
    local got
    got=$(ask "$1" "$2")
    printf '%-9s %-12s -> %s\n' "$1:" "$2" "$got"
    [ "$got" = "$3" ] || changed=1
}
check numbered '/a/x%7Ey' '/x%257Ey'
check numbered '/a/x~y?z=%7E' '/x~y?z=%7E'
check numbered '/a/%41?z=%7E' '/%2541%3Fz=%257E'
check named '/a/x%7Ey' '/x%7Ey'
check named '/a/x~y?z=%7E' '/x~y?z=%7E'
check named '/a/%41?z=%7E' '/%41?z=%7E'
exit "$changed"

"""Stands in for curl where there is none: the few options that the documentation's snippets use.

``curl [-s] [-i] [-X METHOD] [-H FIELD]... [-u NAME:PASSWORD] [-d DATA]
[-b FILE] [-c FILE] URL``
"""

from __future__ import annotations

import argparse
import base64
import http.client
import sys
from http.cookiejar import MozillaCookieJar
from urllib.parse import urlsplit
from urllib.request import Request


def main() -> None:
    """Make one request and print its answer."""
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-i", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="fields", action="append", default=[])
    parser.add_argument("-u", dest="user")
    parser.add_argument("-d", dest="data")
    parser.add_argument("-b", dest="cookies")
    parser.add_argument("-c", dest="jar")
    parser.add_argument("url")
    asked = parser.parse_args()
    url = urlsplit(asked.url)
    fields = {"Accept": "*/*", "User-Agent": "curl"}
    if asked.data is not None:
        fields["Content-Type"] = "application/x-www-form-urlencoded"
    for field in asked.fields:
        name, _, value = field.partition(":")
        fields[name.strip().title()] = value.strip()
    if asked.user is not None:
        fields["Authorization"] = f"Basic {base64.b64encode(asked.user.encode()).decode()}"
    jar = MozillaCookieJar()
    if asked.cookies is not None:
        jar.load(asked.cookies)
        bearer = Request(asked.url)
        jar.add_cookie_header(bearer)
        fields |= bearer.unredirected_hdrs
    connection = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=30)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    method = asked.method or ("GET" if asked.data is None else "POST")
    connection.request(method, target, asked.data and asked.data.encode(), fields)
    answer = connection.getresponse()
    if asked.jar is not None:
        jar.extract_cookies(answer, Request(asked.url))
        jar.save(asked.jar)
    if asked.i:
        lines = [
            f"HTTP/1.1 {answer.status} {answer.reason}",
            *(f"{n.lower()}: {v}" for n, v in answer.getheaders()),
        ]
        sys.stdout.write("\r\n".join([*lines, "", ""]))
    sys.stdout.write(answer.read().decode())


if __name__ == "__main__":
    main()

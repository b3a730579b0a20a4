"""The public WebSocket suite against one peer, in Python 2.7:

    suite.py client MODE OUT CASES AGENT URL    tries the server at URL
    suite.py server MODE OUT CASES              prints its own URL, and tries a client that comes

MODE is `plain`, or `as-binary`: text messages are then sent as binary ones, and come back so. CASES is
a list with commas. The reports go to the folder OUT.
"""

import sys

from autobahntestsuite import fuzzing
from twisted.internet import reactor

SUBPROTOCOL = "wirestream.v1"
TEXT, BINARY = 1, 2


def selects_the_subprotocol():
    """The suite's server knows of no subprotocol, and answers what it is asked in text."""
    server = fuzzing.FuzzingServerProtocol
    connected, send = server.onConnect, server.sendMessage

    def on_connect(self, request):
        connected(self, request)
        return SUBPROTOCOL

    def send_message(self, payload, isBinary=False, **more):
        send(self, payload, isBinary=isBinary or not self.runCase, **more)

    server.onConnect, server.sendMessage = on_connect, send_message


def sends_text_as_binary():
    for protocol in (fuzzing.FuzzingServerProtocol, fuzzing.FuzzingClientProtocol):
        patch(protocol)


def patch(protocol):
    send, received, lost = protocol.sendFrame, protocol.onMessage, protocol.connectionLost

    def send_frame(self, opcode, **more):
        send(self, opcode=BINARY if opcode == TEXT else opcode, **more)

    def on_message(self, message, binary):
        received(self, message, not binary)

    def connection_lost(self, reason):
        # A case counts the frames of text it has sent.
        self.txFrameStats[TEXT] = self.txFrameStats.get(BINARY, 0)
        lost(self, reason)

    protocol.sendFrame, protocol.onMessage, protocol.connectionLost = send_frame, on_message, connection_lost


def main(role, mode, out, cases, agent=None, url="ws://127.0.0.1:1"):
    # The pages for people are of no use here.
    for page in ("createMasterReportHTML", "createAgentCaseReportHTML"):
        setattr(fuzzing.FuzzingFactory, page, lambda *_: None)
    selects_the_subprotocol()
    if mode == "as-binary":
        sends_text_as_binary()
    spec = {"outdir": out, "cases": cases.split(","), "protocols": [SUBPROTOCOL]}
    # Its prints are for the log.
    say, sys.stdout = sys.stdout, sys.stderr
    if role == "client":
        spec["servers"] = [{"url": url, "agent": agent, "protocols": [SUBPROTOCOL]}]
        fuzzing.startClient(spec)
    else:
        factory = fuzzing.FuzzingServerFactory(dict(spec, url=url))
        port = reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port
        # The port that clients must ask for.
        factory.port = factory.externalPort = port
        say.write("ws://127.0.0.1:%d\n" % port)
        say.flush()
    reactor.run()


main(*sys.argv[1:])

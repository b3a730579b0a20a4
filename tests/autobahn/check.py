"""What came of the suite, against `expected.tsv`:

    check.py cases MODE             the cases of a mode, with commas
    check.py compare REPORTS PEER   a peer's reports, in REPORTS/PEER/MODE for each mode; fails on any difference
    check.py results REPORTS WHEN   RESULTS.md, of all peers
"""

import collections
import functools
import json
import pathlib
import re
import sys

MODES = ["plain", "as-binary"]
PEERS = ["tokio-server", "tokio-client", "smol-server", "smol-client"]
VERDICTS = ["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED"]
# R-PACKET-2
MAX_PACKET = 131_072
TEXT = "1"

Expected = collections.namedtuple("Expected", "cases behaviour close reason")


def expand(cases):
    """`1.2.3-5` is three cases."""
    section, _, numbers = cases.rpartition(".")
    first, _, last = numbers.partition("-")
    return [f"{section}.{number}" for number in range(int(first), int(last or first) + 1)]


@functools.cache
def expectations(mode):
    """What is expected of each case of a mode."""
    expected = {}
    lines = pathlib.Path(__file__).with_name("expected.tsv").read_text().splitlines()
    for line in lines[1:]:
        cases, of, *rest = line.split("\t")
        for case in expand(cases) if of == mode else []:
            if case in expected:
                sys.exit(f"expected.tsv has case {case} twice for {mode}")
            expected[case] = Expected(cases, *rest)
    return expected


def reports(folder):
    """The suite's reports about its cases."""
    index = folder / "index.json"
    if not index.exists():
        return {}
    [cases] = json.loads(index.read_text()).values()
    return {case: json.loads((folder / entry["reportfile"]).read_text()) for case, entry in cases.items()}


def sends_text(report):
    return report["txFrameStats"].get(TEXT, 0) > 0


def sends_too_much(report):
    """Whether its message is larger than a packet may be. Only the description tells: a peer that refuses it early
    is not sent the whole."""
    size = re.search(r"(\d+) \* 2\*\*(\d+)|(\d+)K message", report["description"])
    if not size:
        return False
    count, power, kibibytes = size.groups()
    return (int(kibibytes) << 10 if kibibytes else int(count) << int(power)) > MAX_PACKET


# The only reasons for which a case may fail, and whether a report bears them out.
REASONS = {"text": sends_text, "over 128 KiB": sends_too_much}


def unexpected(mode, case, expected, report):
    """How a report differs from what is expected of its case, if it does."""
    if expected is None:
        return f"{report['behavior']}, and is not in expected.tsv"
    if report is None:
        return "was not run"
    is_as = (report["behavior"], report["behaviorClose"])
    if is_as != (expected.behaviour, expected.close):
        return f"{is_as[0]}, close {is_as[1]}, where {expected.behaviour}, close {expected.close} was expected"
    if expected.behaviour == "FAILED":
        for reason in expected.reason.split(", "):
            if reason not in REASONS or not REASONS[reason](report):
                return f"fails, but not for the reason {reason!r}"
        if report["remoteCloseCode"] != 1000:
            return f"is refused with the code {report['remoteCloseCode']}, and not with 1000 (R-WS-2)"
    is_text = mode == "plain" and sends_text(report) and expected.behaviour != "UNIMPLEMENTED"
    if is_text and not sends_too_much(report) and not expected.reason.startswith("no UTF-8"):
        if case not in expectations("as-binary"):
            return "sends text, and is not run as binary"
    return None


def in_order(cases):
    return sorted(cases, key=lambda case: [int(number) for number in case.split(".")])


def differences(root, peer, mode):
    expected, found = expectations(mode), reports(root / peer / mode)
    for case in in_order(expected.keys() | found.keys()):
        difference = unexpected(mode, case, expected.get(case), found.get(case))
        if difference:
            yield f"{case}: {difference}"


def compare(root, peer):
    right = True
    for mode in MODES:
        found = list(differences(root, peer, mode))
        count = len(reports(root / peer / mode))
        print(f"{peer}, {mode}: {count} cases, {f'{len(found)} not as expected' if found else 'as expected'}")
        for difference in found:
            print(f"  {difference}")
        right = right and not found
    return right


def results(root, when):
    print("# The public WebSocket suite\n")
    print(f"Made by `tests/autobahn/run` on {when}. A peer sends back")
    print("each packet through its adapter's `Transport`. `plain` is every case as it is. Wirestream takes no text (R-PACKET-4),")
    print("so in `as-binary` each case whose text is valid, and no larger than a packet may be, sends it as a binary message.\n")
    print(f"| peer | mode | cases | {' | '.join(VERDICTS)} | |")
    print(f"|---|---|---:|{'---:|' * len(VERDICTS)}---|")
    for peer in PEERS:
        for mode in MODES:
            found = reports(root / peer / mode)
            verdicts = collections.Counter(report["behavior"] for report in found.values())
            counts = " | ".join(str(verdicts[verdict]) for verdict in VERDICTS)
            different = len(list(differences(root, peer, mode)))
            verdict = f"**{different} not as expected**" if different else "as expected"
            print(f"| {peer.replace('-', ', ')} | {mode} | {len(found)} | {counts} | {verdict} |")
    print("\nWhat is expected of each case is in `expected.tsv`. Where that is not OK:\n")
    print("| | why | cases |\n|---|---|---|")
    why = collections.defaultdict(dict)
    for expected in expectations("plain").values():
        if expected.behaviour != "OK":
            why[expected.behaviour, expected.reason][expected.cases] = None
    for (behaviour, reason), cases in sorted(why.items(), key=lambda entry: VERDICTS.index(entry[0][0])):
        print(f"| {behaviour} | {reason} | {', '.join(cases)} |")
    print("\nThose that FAILED are refused by design: a text message is a violation (R-PACKET-4), and so is a packet of more than")
    print("131,072 bytes (R-PACKET-2). Their reports show that each sent one, and got an orderly close. So did the NON-STRICT")
    print("ones, before what they try; 6.4.3 and 6.4.4 would have the connection end in the middle of a frame.")


def main(command, *arguments):
    if command == "cases":
        print(",".join(in_order(expectations(arguments[0]))))
    elif command == "compare":
        root, peer = arguments
        return compare(pathlib.Path(root), peer)
    elif command == "results":
        root, when = arguments
        results(pathlib.Path(root), when)
    return True


sys.exit(not main(*sys.argv[1:]))

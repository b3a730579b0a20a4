import connections from "../../../spec/vectors/connections.json" with { type: "json" };
import type { Call, End, Sent } from "../../src/core/call.js";
import { Connection } from "../../src/core/connection.js";
import { AWAYS, decode, type FaultCode, GO_AWAY } from "../../src/core/frames.js";
import { DEFAULTS } from "../../src/core/limits.js";
import { type Case, check, hex, hexOf, same } from "../assert.js";

interface Vector {
  name: string;
  role: string;
  limits: Record<string, number>;
  steps: Record<string, unknown>[];
  end: { reason: string; rule: string | null } | null;
}

type OfHalf = { call: number; half: number };

const clientCases = (connections as unknown as Vector[]).filter(({ role }) => role === "client");

/** The cases that have the role `client`. */
export const connectionCases: Case[] = clientCases.map((vector) => ({
  name: `connections: ${vector.name}`,
  run() {
    const run = new Run(vector);
    vector.steps.forEach((step, number) => {
      run.step(step, `step ${number} (${JSON.stringify(step).slice(0, 100)})`);
    });
    const { closed } = run.connection;
    same(closed ? { reason: closed.reason, rule: closed.rule ?? null } : null, vector.end, "end");
  },
}));

/** One case on its way. */
class Run {
  readonly connection: Connection;
  readonly #calls = new Map<number, Call>();
  #now = 0;

  constructor({ limits }: Vector) {
    const { half_window, connection_window, ...rest } = limits;
    const changed: Record<string, number> = { ...rest };
    if (half_window) changed.halfWindow = half_window;
    if (connection_window) changed.connectionWindow = connection_window;
    this.connection = new Connection({ ...DEFAULTS, ...changed }, undefined, () => this.#now);
  }

  #call(number: number): Call {
    const call = this.#calls.get(number);
    check(call, `call ${number} was not opened`);
    return call;
  }

  step(step: Record<string, unknown>, place: string): void {
    const { connection } = this;
    const [[verb, value]] = Object.entries(step) as [[string, never]];
    const { call, half } = value as OfHalf;
    switch (verb) {
      case "in":
        return connection.receive(hex(value));
      case "out":
        return same(hexOf(connection.transmit() ?? hex("")), hexOf(hex(value)), place);
      case "goodbye": {
        const { code, starts } = value as { code: number; starts: string };
        const last = [...decode(connection.transmit() ?? hex(""))].at(-1);
        check(last?.kind === GO_AWAY, `${place}: no GoAway`);
        same(AWAYS.indexOf(last.code), code, place);
        return check(last.detail.startsWith(starts), `${place}: ${last.detail}`);
      }
      case "text":
        return connection.receive(undefined);
      case "eof":
        return connection.eof();
      case "time":
        this.#now = 1000 * value;
        return connection.handleTimeout();
      case "close":
        return connection.close();
      case "set_token":
        return connection.setToken(hex(value));
      case "open": {
        const { method, parameters, arguments: payload } = value as Record<string, never>;
        const rest = { method, parameters, payload: hex(payload as never), metadata: [] };
        const call = connection.open(rest as never);
        this.#calls.set(call.id, call);
        return;
      }
      case "open_refused":
        return same(connection.isOpen, false, place);
      case "send": {
        const { payload, result } = value as { payload: string; result: string };
        let sent: Sent | "blocked" = "blocked";
        const parameter = this.#call(call).parameters[half - 1];
        const done = (result: Sent) => {
          sent = result;
        };
        parameter?.offer({ payload: hex(payload), done });
        parameter?.withdraw();
        return same(sent, result, place);
      }
      case "finish":
        return this.#call(call).parameters[half - 1]?.offer({
          payload: hex(""),
          end: "Close",
          done() {},
        });
      case "recv": {
        const { message } = value as { message: string };
        return same(this.#call(call).take(), hex(message), place);
      }
      case "recv_end":
        return same(endName(this.#call(call).take()), (value as { end: string }).end, place);
      case "nothing":
        return same(this.#call(call).take(), undefined, place);
      case "release":
        return this.#call(call).release();
      case "ended":
        return same(outcome(this.#call(call).end), (value as { outcome: string }).outcome, place);
      default:
        throw new Error(`${place}: no step of a client`);
    }
  }
}

function endName(end: Uint8Array | End | undefined): string {
  check(end && "end" in end, "no end");
  if (end.end !== "fault") return end.end;
  const { code, payload }: { code: FaultCode; payload: Uint8Array } = end;
  return code === "App" ? `fault App ${hexOf(payload)}` : `fault ${code}`;
}

function outcome(end: End | undefined): string | undefined {
  return end?.end === "fault" ? "failed" : end?.end;
}

import { opening } from "./a_opening.js";
import { shapes } from "./b_shapes.js";
import { ends } from "./c_ends.js";
import { errors } from "./d_errors.js";
import { socket } from "./e_socket.js";
import type { Scenario } from "./env.js";

/** What a client can show of the scenarios. */
export const scenarios: Scenario[] = [...opening, ...shapes, ...ends, ...errors, ...socket];

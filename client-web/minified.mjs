/**
 * Names of properties that the module has for itself. The minified one shortens them: none of them is
 * the user's, the platform's, or asked for by a text.
 */
const INSIDE = [
  "acquire",
  "advance",
  "attach",
  "available",
  "begun",
  "bind",
  "connection",
  "deadline",
  "draining",
  "drop",
  "endCost",
  "ended",
  "generation",
  "giveBack",
  "handleTimeout",
  "held",
  "isLive",
  "isOpen",
  "isOver",
  "listener",
  "onchange",
  "onreadable",
  "onstop",
  "onwork",
  "owed",
  "peer",
  "peerLimits",
  "put",
  "queue",
  "queued",
  "receive",
  "refund",
  "reply",
  "since",
  "transmit",
  "waits",
  "withdraw",
];

/** How esbuild minifies. */
export const minified = {
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  mangleProps: new RegExp(`^(${INSIDE.join("|")})$`),
};

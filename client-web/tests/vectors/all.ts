import type { Case } from "../assert.js";
import { connectionCases } from "./connections.js";
import { badFrameCases, frameCases } from "./frames.js";
import { badPayloadCases, payloadCases } from "./payloads.js";

/** Every vector that a client can run, and how many there are. */
export const vectorCases: Case[] = [
  ...frameCases,
  ...badFrameCases,
  ...payloadCases,
  ...badPayloadCases,
  ...connectionCases,
];

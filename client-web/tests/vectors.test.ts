import { expect, test } from "vitest";
import { vectorCases } from "./vectors/all.js";

test.each(vectorCases)("$name", ({ run }) => run());

test("there are as many vectors as the specification has", () => {
  const counts: Record<string, number> = {};
  for (const { name } of vectorCases) {
    const [family = ""] = name.split(":");
    counts[family] = (counts[family] ?? 0) + 1;
  }
  expect(counts).toEqual({
    frames: 92,
    "bad frames": 77,
    payloads: 55,
    "bad payloads": 18,
    connections: 67,
  });
});

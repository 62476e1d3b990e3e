// Ask with openapi-fetch and the types that openapi-typescript generates: `node openapi_fetch.js URL` prints JSON.

import createClient from "openapi-fetch";

import type { components, paths } from "./schema";

const query = [[2, 1, 1, 0]];
const key = [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]];
const value = [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]];

const client = createClient<paths, "application/json">({ baseUrl: process.argv[2] });

const tensor = (name: string, rows: number[][]) => ({
  name, shape: [rows.length, rows[0].length], datatype: "FP64" as const, data: rows.flat(),
});

type Schemas = components["schemas"];

// Compiled, never called: every line but the first two is refused, or the compiler complains of the comment above it.
export const typed = (answer: Schemas["AttentionResponse"]) => {
  const least: Schemas["AttentionRequest"] = { query, key };
  const notes: string[] = answer.notes;
  // @ts-expect-error a misspelt member
  const misspelt: Schemas["AttentionRequest"] = { query, key, normaliser: "softmax" };
  // @ts-expect-error weights are missing
  const incomplete: Schemas["ScoreModel"] = { name: "additive" };
  // @ts-expect-error an output may not be included
  const rows: number = answer.output.length;
  return [least, notes, misspelt, incomplete, rows];
};

async function main() {
  const first = await client.POST("/v1/attention", {
    body: { query, key, value, score_model: { name: "scaled_dot_product" }, normalizer: "softmax" },
  });
  const inference = await client.POST("/v2/models/{model}/infer", {
    params: { path: { model: "scaled_dot_product" } },
    body: { inputs: [tensor("query", query), tensor("key", key), tensor("value", value)] },
  });
  console.log(JSON.stringify({
    first: first.data,
    inference: Object.fromEntries(inference.data?.outputs.map(({ name, data }) => [name, data]) ?? []),
  }));
}

main();

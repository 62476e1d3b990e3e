// Ask with the client that @hey-api/openapi-ts generates: `node hey_api.js URL DOCUMENT` prints the answers as JSON.

import { readFileSync } from "node:fs";

import { attend, check, compare, estimate, estimateGradients, explain, gradients, infer, merge } from "./attention";
import type { AttentionRequest, AttentionResponse, ScoreModel } from "./attention";
import { client } from "./attention/client.gen";

const query = [[2, 1, 1, 0]];
const key = [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]];
const value = [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]];

const [url, documentPath] = process.argv.slice(2);
client.setConfig({ baseUrl: url });

const tensor = (name: string, rows: number[][]) => ({
  name, shape: [rows.length, rows[0].length], datatype: "FP64" as const, data: rows.flat(),
});

// Compiled, never called: every line but the first two is refused, or the compiler complains of the comment above it.
export const typed = (answer: AttentionResponse) => {
  const least: AttentionRequest = { query, key };
  const notes: string[] = answer.notes;
  // @ts-expect-error a misspelt member
  const misspelt: AttentionRequest = { query, key, normaliser: "softmax" };
  // @ts-expect-error a misspelt name
  const unknown: ScoreModel = "dot_produkt";
  // @ts-expect-error weights are missing
  const incomplete: ScoreModel = { name: "additive" };
  // @ts-expect-error a parameter of another score model
  const foreign: ScoreModel = { name: "dot_product", scale: 2 };
  // @ts-expect-error an output may not be included
  const rows: number = answer.output.length;
  return [least, notes, misspelt, unknown, incomplete, foreign, rows];
};

async function main() {
  const first = await attend({
    body: { query, key, value, score_model: { name: "scaled_dot_product" }, normalizer: "softmax" },
  });
  const inference = await infer({
    path: { model: "scaled_dot_product" },
    body: { inputs: [tensor("query", query), tensor("key", key), tensor("value", value)] },
  });
  const problem = await attend({ body: { query, key: value } });

  const document = JSON.parse(readFileSync(documentPath, "utf-8"));
  const calls = {
    attend, estimate, explain, compare, check, merge, gradients, estimate_gradients: estimateGradients,
  };
  const examples: Record<string, unknown> = {};
  for (const [path, { post }] of Object.entries<any>(document.paths)) {
    const call = calls[post?.operationId as keyof typeof calls];
    if (call === undefined) continue;
    for (const [name, example] of Object.entries<any>(post.requestBody.content["application/json"].examples)) {
      const answer = await call({ body: example.value });
      examples[`${path} ${name}`] = answer.data ?? answer.error;
    }
  }
  console.log(JSON.stringify({
    first: first.data,
    inference: Object.fromEntries(inference.data?.outputs.map(({ name, data }) => [name, data]) ?? []),
    problem: problem.error?.errors?.map((error) => error.pointer),
    examples,
  }));
}

main();

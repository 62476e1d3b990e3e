// The request as text that sends it, without any library of ours.
import { jsonOf } from "./literals.js";

export const json = ({ request }) => `${jsonOf(request)}\n`;

// The here-document is quoted: the shell expands nothing in it.
export function curl({ request, url, hasKey }) {
  const head = [
    `curl --silent --show-error --fail-with-body '${url}/v1/attention'`,
    "--header 'Content-Type: application/json'",
    ...(hasKey ? ['--header "Authorization: Bearer $ATTENTION_API_KEY"'] : []),
    "--data-binary @- <<'JSON'",
  ];
  return `${head.join(" \\\n  ")}\n${jsonOf(request)}\nJSON\n`;
}

export function javascript({ request, url, hasKey }) {
  const key = hasKey ? ["      Authorization: `Bearer ${process.env.ATTENTION_API_KEY}`,"] : [];
  return [
    `const request = ${jsonOf(request)};`,
    "",
    "async function main() {",
    `  const response = await fetch(${JSON.stringify(`${url}/v1/attention`)}, {`,
    '    method: "POST",',
    "    headers: {",
    '      "Content-Type": "application/json",',
    ...key,
    "    },",
    "    body: JSON.stringify(request),",
    "  });",
    "  const result = await response.json();",
    "  if (!response.ok) throw new Error(result.detail);",
    "  console.log(JSON.stringify(result, null, 2));",
    "}",
    "",
    "main();",
    "",
  ].join("\n");
}

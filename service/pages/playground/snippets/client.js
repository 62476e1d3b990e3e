// The request as Python with the client of this service.
import { t } from "../words/i18n.js";
import { pythonOf } from "./literals.js";

const TENSORS = ["query", "key", "value"];

export function client({ request, url, hasKey }) {
  const given = TENSORS.filter((name) => request[name]);
  const include = request.include.filter((name) => name !== "diagnostics");
  const options = Object.entries({ ...request, include }).filter(([name]) => !TENSORS.includes(name));
  const address = [JSON.stringify(url), ...(hasKey ? ['api_key=os.environ["ATTENTION_API_KEY"]'] : [])].join(", ");
  return [
    ...(hasKey ? ["import os", ""] : []),
    "from attention_client import AttentionClient",
    "",
    ...given.map((name) => `${name} = ${pythonOf(request[name])}`),
    "",
    `with AttentionClient(${address}) as client:`,
    "    result = client.attend(",
    ...given.map((name) => `        ${name},`),
    ...options.map(([name, value]) => `        ${name}=${pythonOf(value, "        ")},`),
    "    )",
    ...(include.length < request.include.length ? [`# ${t("request.diagnostics")}`] : []),
    ...include.map((name) => `print("${name}", result.${name}, sep="\\n")`),
    "",
  ].join("\n");
}

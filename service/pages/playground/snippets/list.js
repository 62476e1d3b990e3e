// The languages that a request is shown in.
import { client } from "./client.js";
import { curl, javascript, json } from "./http.js";
import { keras, numpy, pytorch } from "./mathematics.js";

// Each is a function of {request, tensors, numbers, index, memory, url, hasKey}: `tensors` holds keys and values as
// numbers, where the request has the name of a memory, `index` the leading index of the slice, `memory` {name, version}
// or null, `hasKey` says whether the service asks for a key.  It returns {code}, or {refusal}, a sentence.
const whole = (write) => (asked) => ({ code: write(asked) });

export const FORMS = {
  curl: whole(curl),
  client: whole(client),
  numpy,
  pytorch,
  keras,
  javascript: whole(javascript),
  json: whole(json),
};

// Attention with typed arrays, by the Open Inference Protocol V2; the first argument is the address of the service.
// 按开放推理协议 V2，用类型化数组计算注意力；第一个参数是服务地址。
const service = process.argv[2] ?? "http://127.0.0.1:8000";
const LENGTH = "Inference-Header-Content-Length";

// Every machine that runs JavaScript today keeps its numbers little-endian, as the protocol wants them.
// 如今运行 JavaScript 的机器都是小端，正合协议的要求。
async function infer(model, tensors, parameters = {}) {
  const inputs = Object.entries(tensors).map(([name, { shape, data }]) => ({
    name,
    shape,
    datatype: "FP32",
    parameters: { binary_data_size: data.byteLength },
  }));
  const head = new TextEncoder().encode(
    JSON.stringify({ inputs, parameters: { ...parameters, binary_data_output: true } }),
  );
  const response = await fetch(`${service}/v2/models/${model}/infer`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream", [LENGTH]: String(head.byteLength) },
    body: new Blob([head, ...Object.values(tensors).map(({ data }) => data)]),
  });
  if (!response.ok) throw new Error((await response.json()).error);
  return outputsOf(await response.arrayBuffer(), Number(response.headers.get(LENGTH)));
}

// JSON first, then the tensors; a slice begins at an address of its own, which typed arrays need.
// 先是 JSON，然后是张量；slice 会复制出对齐的数据，类型化数组需要这样。
function outputsOf(body, length) {
  const { outputs } = JSON.parse(new TextDecoder().decode(body.slice(0, length)));
  let offset = length;
  return Object.fromEntries(
    outputs.map(({ name, shape, parameters }) => {
      const end = offset + parameters.binary_data_size;
      const data = new Float32Array(body.slice(offset, end));
      offset = end;
      return [name, { shape, data }];
    }),
  );
}

const fixed = (numbers) => Array.from(numbers, (number) => number.toFixed(4));

const query = { shape: [2, 2], data: new Float32Array([2, 1, 0, 1]) };
const key = { shape: [2, 2], data: new Float32Array([1, 0, 0, 1]) };
const value = { shape: [2, 1], data: new Float32Array([10, 20]) };
const { weights, output } = await infer("scaled_dot_product", { query, key, value }, { causal: true });
console.log("weights", weights.shape.join("×"), ...fixed(weights.data));
console.log("output", output.shape.join("×"), ...fixed(output.data));

"""The same with plain HTTP: JSON, then raw bytes. 直接用 HTTP：先 JSON，再原始字节。

The first argument is the address of the service. 第一个参数是服务地址。
"""

import json
import sys

import httpx
import numpy as np

SERVICE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"

query = np.array([[2.0, 1, 1, 0]])
key = np.array([[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]])

# JSON is the simplest. JSON 最简单。
request = {"query": query.tolist(), "key": key.tolist(), "include": ["weights"], "decimals": 4}
answer = httpx.post(f"{SERVICE}/v1/attention", json=request).raise_for_status().json()
print("json", *answer["weights"][0])

# Raw bytes are the fastest: JSON that names the tensors, and the tensors behind it, little-endian, row by row.
# 原始字节最快：JSON 说明各张量，张量按小端、逐行跟在后面。
tensors = {"query": query.astype("<f4"), "key": key.astype("<f4")}
inputs = [
    {"name": name, "shape": array.shape, "datatype": "FP32", "parameters": {"binary_data_size": array.nbytes}}
    for name, array in tensors.items()
]
head = json.dumps(
    {"inputs": inputs, "outputs": [{"name": "weights"}], "parameters": {"binary_data_output": True}}
).encode()
response = httpx.post(
    f"{SERVICE}/v2/models/scaled_dot_product/infer",
    content=head + b"".join(array.tobytes() for array in tensors.values()),
    headers={"Inference-Header-Content-Length": str(len(head))},
).raise_for_status()

# The answer is built the same way. 响应的结构相同。
length = int(response.headers["Inference-Header-Content-Length"])
[output] = json.loads(response.content[:length])["outputs"]
weights = np.frombuffer(response.content[length:], "<f4").reshape(output["shape"])
print("binary", *weights[0].round(4).tolist())

// Attention as JSON, in Node 18 or later and in browsers alike; the first argument is the address of the service.
// 用 JSON 计算注意力，Node 18 以上和浏览器都可用；第一个参数是服务地址。
const service = process.argv[2] ?? "http://127.0.0.1:8000";

async function attend(request) {
  const response = await fetch(`${service}/v1/attention`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.detail), answer);
  return answer;
}

// Whom should the support attend to in a team fight? 团战时辅助应该关注谁？
const request = {
  query: [[2, 1, 1, 0]],
  key: [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
  value: [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
  decimals: 4,
};
const answer = await attend(request);
console.log("weights", ...answer.weights[0]);
console.log("output", ...answer.output[0]);

// Errors name the expected and the received value, advice, and the place. 错误会说明期望什么、收到什么、怎么改、在哪里。
try {
  await attend({ ...request, softcap: -1 });
} catch (error) {
  console.log("refused", error.status, error.errors[0].pointer);
}

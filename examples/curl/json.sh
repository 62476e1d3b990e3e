#!/usr/bin/env bash
# Attention as JSON; the first argument is the address of the service.
# 用 JSON 计算注意力；第一个参数是服务地址。
set -euo pipefail
service=${1:-http://127.0.0.1:8000}

# Whom should the support attend to, now that the marksman (the first key) has gone home?
# 射手（第一个键）回城了，辅助现在应该关注谁？
curl --silent --show-error --fail-with-body "$service/v1/attention" --header 'Content-Type: application/json' --data '{
  "query": [[2, 1, 1, 0]],
  "key":   [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
  "value": [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
  "mask": {"allowed": [false, true, true, true]},
  "include": ["weights", "output"],
  "decimals": 4
}'
echo

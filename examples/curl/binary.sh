#!/usr/bin/env bash
# Attention with raw bytes, by the Open Inference Protocol V2; the first argument is the address of the service.
# 按开放推理协议 V2，用原始字节计算注意力；第一个参数是服务地址。
set -euo pipefail
service=${1:-http://127.0.0.1:8000}
directory=$(mktemp -d)
trap 'rm -r "$directory"' EXIT

# JSON names the tensors and says how many bytes each has; the bytes follow in the same order.
# JSON 说明各张量的名称与字节数；字节按同样的顺序跟在后面。
printf '%s' '{
  "inputs": [
    {"name": "query", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
    {"name": "key", "shape": [2, 2], "datatype": "FP32", "parameters": {"binary_data_size": 16}},
    {"name": "value", "shape": [2, 1], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
  ],
  "parameters": {"temperature": 0.5},
  "outputs": [{"name": "weights", "parameters": {"binary_data": true}},
              {"name": "output", "parameters": {"binary_data": true}}]
}' > "$directory/body"
length=$(wc -c < "$directory/body")

# Little-endian float32, row by row: 0 is 00 00 00 00, 1 is 00 00 80 3f, 2 is 00 00 00 40.
# 小端 float32，逐行排列：0 是 00 00 00 00，1 是 00 00 80 3f，2 是 00 00 00 40。
zero='\x00\x00\x00\x00' one='\x00\x00\x80\x3f' two='\x00\x00\x00\x40'
printf "$two$one" >> "$directory/body"              # query [[2, 1]]
printf "$one$zero$zero$one" >> "$directory/body"    # key [[1, 0], [0, 1]]
printf "$one$two" >> "$directory/body"              # value [[1], [2]]

curl --silent --show-error --fail-with-body "$service/v2/models/scaled_dot_product/infer" \
  --header "Inference-Header-Content-Length: $length" --header 'Content-Type: application/octet-stream' \
  --data-binary "@$directory/body" --dump-header "$directory/headers" --output "$directory/answer"

# The answer is built the same way, and its header says where the JSON ends.
# 响应的结构相同，由响应头说明 JSON 到哪里结束。
length=$(tr -d '\r' < "$directory/headers" | awk -F': ' 'tolower($1) == "inference-header-content-length" { print $2 }')
head -c "$length" "$directory/answer"
echo
tail -c "+$((length + 1))" "$directory/answer" | od -A n -t f4 -w4

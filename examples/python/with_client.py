"""Attention with the client: NumPy in, NumPy out. 使用客户端：输入输出都是 NumPy 数组。

The first argument is the address of the service. 第一个参数是服务地址。
"""

import sys

import numpy as np

from attention_client import AttentionClient, ServiceBusy, ShapeMismatch

# Whom should the support attend to in a team fight? 团战时辅助应该关注谁？
query = np.array([[2.0, 1, 1, 0]])
key = np.array([[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]])
value = np.array([[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]])

with AttentionClient(*sys.argv[1:2]) as client:
    result = client.attend(query, key, value)
    print("weights", *result.weights[0].round(4))
    print("output", *result.output[0].round(4))

    # The marksman has gone home, and the softmax is softer. 射手回城了，softmax 也更平缓。
    awake = [False, True, True, True]
    result = client.attend(query, key, value, mask={"allowed": awake}, normalizer={"name": "softmax", "temperature": 2})
    print("masked", *result.weights[0].round(4))

    # Decoding: the prompt leaves its keys and values, the next token sends them back.
    # 解码：先返回提示词的键和值，下一个词元再把它们送回来。
    prompt = np.random.default_rng(1).normal(size=(1, 2, 4, 8)).astype(np.float32)
    first = client.attend(prompt, prompt, prompt, mask={"causal": True}, include=["output", "present"])
    token = np.ones((1, 2, 1, 8), np.float32)
    then = client.attend(
        token, token, token, mask={"causal": True}, past_key=first.present_key, past_value=first.present_value
    )
    print("cached", *then.weights.shape, then.dtype)

    # Errors are types, and point to the argument that is wrong. 每种错误都有自己的类型，并指出出错的参数。
    try:
        client.with_options(request_id="example-1", timeout=5).attend(query, key[:, :3])
    except ShapeMismatch as error:
        print("refused", error.errors[0].pointer, error.request_id)
    except ServiceBusy as error:
        # Four attempts were made by then. 此时已经试过四次。
        print("busy", error.retry_after)

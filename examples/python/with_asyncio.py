"""Many calls at once over a few connections. 用少量连接同时发出许多请求。

The first argument is the address of the service. 第一个参数是服务地址。
"""

import asyncio
import sys

import numpy as np

from attention_client import AsyncAttentionClient


async def main() -> None:
    """Ask every score model at once. 同时询问每个打分函数。"""
    query, key = np.array([[2.0, 1, 1, 0]]), np.array([[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0]])
    async with AsyncAttentionClient(*sys.argv[1:2]) as client:
        # All that need no parameters. 凡是不需要参数的都算上。
        models = await client.score_models()
        names = [model["name"] for model in models if not model["parameters"]["required"]]
        results = await asyncio.gather(*(client.attend(query, key, score_model=name) for name in names))
        for name, result in zip(names, results, strict=True):
            print(name, *result.weights[0].round(4))


asyncio.run(main())

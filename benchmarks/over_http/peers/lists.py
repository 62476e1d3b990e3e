"""What one writes first with FastAPI: lists of numbers in and out, checked by Pydantic, NumPy in between."""

from typing import Literal

import numpy as np
from fastapi import FastAPI
from maths import attention
from pydantic import BaseModel

app = FastAPI()

Matrix = list[list[float]]


class Question(BaseModel):
    """Queries, keys and values."""

    query: Matrix
    key: Matrix
    value: Matrix
    dtype: Literal["float64", "float32"] = "float64"


class Answer(BaseModel):
    """All three results."""

    scores: Matrix
    weights: Matrix
    output: Matrix


def lists(question: Question) -> dict[str, Matrix]:
    """Attend."""
    arrays = (np.array(matrix, question.dtype) for matrix in (question.query, question.key, question.value))
    return {name: array.tolist() for name, array in attention(*arrays).items()}


@app.post("/v1/attention")
def answer(question: Question):  # noqa: ANN201 - an annotation would be the response model that the other route has
    """Attend, in a thread as FastAPI does it for functions that compute."""
    return lists(question)


@app.post("/v1/attention/modelled")
def modelled_answer(question: Question) -> Answer:
    """The same with a response model, which new versions of FastAPI write without looking at each number in Python."""
    return Answer(**lists(question))

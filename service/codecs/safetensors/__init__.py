"""The safetensors format: a document of /v1 whose arrays are tensors, named by their dotted places in it.

The metadata of the file hold the rest of the document as JSON: member `request` of a request, `response` of an answer.
A request is read into the document that its JSON would be, so that every rule and every message exists once.
https://github.com/huggingface/safetensors#format
"""

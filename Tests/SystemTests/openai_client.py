"""Uses Baton through the openai package as its users do; exits with 0 when all is as expected."""

import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)

models = [model.id for model in client.models.list()]
assert models == ["baton-stories"], models

question = {"model": models[0], "prompt": "Once upon a time", "max_tokens": 40, "temperature": 0}
whole = client.completions.create(**question)
text = whole.choices[0].text
assert text.strip(), whole
assert whole.choices[0].finish_reason in ("stop", "length"), whole
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens

chunks = list(
    client.completions.create(**question, stream=True, stream_options={"include_usage": True})
)
assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == text
assert chunks[-1].usage == whole.usage, chunks[-1]

word = text.split()[3]
stopped = client.completions.create(**question, stop=[word])
assert stopped.choices[0].text == text[: text.index(word)], stopped
assert stopped.choices[0].finish_reason == "stop", stopped

warm = dict(question, temperature=0.8, seed=11)
assert (
    client.completions.create(**warm).choices[0].text
    == client.completions.create(**warm).choices[0].text
)

for wrong, error in (
    ({"temperature": 9}, openai.BadRequestError),
    ({"max_tokens": 100000}, openai.BadRequestError),
    ({"model": "gpt-none"}, openai.NotFoundError),
):
    try:
        client.completions.create(**dict(question, **wrong))
    except error as raised:
        assert raised.body["message"], raised.body
    else:
        raise AssertionError(f"{wrong} was accepted")
print("ok")

#!/usr/bin/env python3
"""Makes the small checkpoints and golden values that Tests/InferenceTests compares the engine with.

Usage: make.py [DIRECTORY]   (default: Tests/InferenceTests/Fixtures)

Writes two Llama models with random weights, as transformers saves them:

  golden-f32   float32, grouped-query attention, sizes that are no multiples of 16, tied embeddings;
  golden-bf16  bfloat16 in two shards with an index, a separate output projection.

and beside each golden.json: a prompt, the 200 tokens that greedy decoding in float32 appends to it,
and the logits after the prompt. A seed is taken only when greedy decoding is a fair test: the best
logit leads the second by more than 1e-3 at every step and the tokens do not fall into a short loop.

Needs torch, transformers and safetensors; run with transformers 5.
"""

import json
import pathlib
import shutil
import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM

PROMPT_TOKENS = 37
NEW_TOKENS = 200
SMALLEST_MARGIN = 1e-3
LONGEST_LOOP = 40

MODELS = {
    "golden-f32": dict(
        dtype=torch.float32,
        shard_bytes=None,
        sizes=dict(
            hidden_size=40,
            intermediate_size=72,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=10,
            tie_word_embeddings=True,
        ),
    ),
    "golden-bf16": dict(
        dtype=torch.bfloat16,
        shard_bytes=40_000,
        sizes=dict(
            hidden_size=36,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=16,
            tie_word_embeddings=False,
        ),
    ),
}


def build(sizes, dtype, seed):
    """A float32 model whose weights are numbers of `dtype`, large enough for clear margins.

    The engine widens stored weights and computes in float32; so does the reference. Converting the
    whole model to `dtype` and back would round its rotary frequencies as well.
    """
    config = LlamaConfig(
        vocab_size=256,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
        bos_token_id=0,
        eos_token_id=1,
        **sizes,
    )
    model = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.dim() == 1:
                weight.copy_(1.0 + 0.2 * noise)
            elif "embed" in name:
                weight.copy_(noise)
            else:
                weight.copy_(noise * 2.0 / weight.shape[1] ** 0.5)
            weight.copy_(weight.to(dtype).float())
    return model.eval()


def greedy(model, prompt):
    """The greedy continuation, the smallest margin on the way, and the first step's logits."""
    tokens, margin, first = list(prompt), float("inf"), None
    with torch.no_grad():
        for _ in range(NEW_TOKENS):
            logits = model(torch.tensor([tokens])).logits[0, -1]
            if first is None:
                first = logits.tolist()
            best = torch.topk(logits, 2)
            margin = min(margin, (best.values[0] - best.values[1]).item())
            tokens.append(best.indices[0].item())
    return tokens[len(prompt):], margin, first


def loops(tokens):
    """Whether the last third of the tokens repeats with a short period."""
    tail = tokens[-NEW_TOKENS // 3:]
    return any(tail[period:] == tail[:-period] for period in range(1, LONGEST_LOOP))


def byte_level_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes, in the order of the bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(spare)) for byte in range(256)]


def write_tokenizer(directory):
    """A byte-level tokenizer of 256 tokens without merges."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "vocab": {text: token for token, text in enumerate(byte_level_alphabet())},
            "merges": [],
        },
    }
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))


def make(name, directory):
    spec = MODELS[name]
    generator = torch.Generator().manual_seed(7)
    prompt = torch.randint(0, 256, (PROMPT_TOKENS,), generator=generator).tolist()
    for seed in range(1000):
        model = build(spec["sizes"], spec["dtype"], seed)
        tokens, margin, logits = greedy(model, prompt)
        if margin > SMALLEST_MARGIN and not loops(tokens):
            break
    else:
        raise SystemExit(f"{name}: no seed gives clear margins without a loop")
    target = directory / name
    shutil.rmtree(target, ignore_errors=True)
    model = model.to(spec["dtype"])
    limit = {"max_shard_size": spec["shard_bytes"]} if spec["shard_bytes"] else {}
    model.save_pretrained(target, **limit)
    write_tokenizer(target)
    (target / "golden.json").write_text(
        json.dumps({"prompt": prompt, "tokens": tokens, "logits": logits}))
    print(f"{name}: seed {seed}, smallest margin {margin:.4f}, "
          f"{len(set(tokens))} different tokens of {NEW_TOKENS}")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    default = root / "Tests" / "InferenceTests" / "Fixtures"
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    torch.set_num_threads(1)
    for name in MODELS:
        make(name, directory)


if __name__ == "__main__":
    main()

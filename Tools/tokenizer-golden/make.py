"""Makes the golden files of TokenizerTests with Hugging Face's `tokenizers` (0.23.3).

  make.py --default Sources/Inference/Resources/DefaultModel/tokenizer.json \
          --out Tests/TokenizerTests/Fixtures

Trains one small tokenizer per pattern, each with other features of the format, and writes down
how they and that of the default model encode and decode difficult text. Deterministic.
"""

import argparse
import json
import os
import random

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

CORPUS = [
    "The quick brown fox can't jump over 12345 lazy dogs; we'll see, they've said it's fine.",
    "def scan(text):\n    for index, line in enumerate(text.split('\\n')):\n        yield line\n",
    "Überraschung für größere Häuser, déjà vu, naïve façade, señor, smørrebrød, žluťoučký kůň.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Привет, мир!",
    "敏捷的棕色狐狸跳过了懒狗。今天的天气很好，我们去公园吧。東京は日本の首都です。",
    "안녕하세요 세계, 오늘은 날씨가 좋네요. สวัสดีชาวโลก नमस्ते दुनिया",
    "שלום עולם, מה שלומך היום? مرحبا بالعالم كيف حالك اليوم",
    "😀 😃 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ✨ emoji are fun 😀😀😀", "   spaces\t\ttabs\r\n\r\nlines  \n \n\n end   ",
    "3.14159 2,718 1/2 ½ ² Ⅷ ٣٤٥ 100000 0x7fff 1999-12-31T23:59:59Z",
    "!!! ??? ... --- === ((())) {[<>]}",
]

CASES = [
    "", " ", "  ", "\n", "\r\n", "\t", "a", " a", "a ", "  a", "a  b", "a   b ", " \n a", "a\n\nb",
    "Hello, world!", "Once upon a time, there was a fox.",
    "I'm you're he'll they've she'd it's don't",
    "I'M YOU'RE HE'LL THEY'VE SHE'D IT'S DON'T 'Ll 'rE",
    "'s 's's 'sound 't 'x '' ' \u2019s rock'n'roll",
    "it'\u017f '\u017fo THAT'\u017f", "1 12 123 1234 12345 1234567890 3.14 1,000,000 v2.0b3",
    "\u00bd \u00b2\u00b3 \u2167 \u0663\u0664\u0665\u0666 \u4e00\u4e8c \u2460\u2461",
    "\U0001f600", "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466!",
    "\U0001f44d\U0001f3fd \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f1e9\U0001f1ea",
    "\u200d", "a\u200db", "\u200b\ufeff",
    "e\u0301 \u00e9 A\u030a \u212b o\u0308\u0323 \u1e69 s\u0323\u0307",
    "\u0301", " \u0301x", "\u1112\u1161\u11ab\uae00 \ud55c\uae00", "\ufb01 \ufb03 \u2126 \u1f71",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u65e5\u672c\u8a9e\u30c6\u30ad\u30b9\u30c8",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "\u0645\u0631\u062d\u0628\u0627 \u202eabc\u202c",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "a\r\nb\r\n\r\nc", "a \r\n b", "x\n \n  y", "   \n\n\n   z", "\t\tif x:\n\t\t\treturn\t1\n",
    "trailing spaces   ", "trailing newline\n", "   leading",
    "a\u00a0b\u2003c\u3000d\u0085e\u2028f\u2029g\x0bh\x0ci",
    "\u00a0\u00a0x", " \u00a0x", "\u180e\u200a.", "\x00\x01\x1f\x7f", "a\x00b",
    "\u00ad\u00a0\u00ff\u0100\u0120\u0143",
    "$$$ %^& (a) [b] {c} <d> #e @f a_b c-d e/f \\g `h` ~i |j", "!\n!!\r\n ?\n\n...\n x",
    "foo.bar(baz)[0] += \"qux\";\n",
    "<|begin|>", "<|end|>", "a<|begin|>b", "a <|end|> b<|end|><|end|>", "<|begin|", "<<|end|>>",
    "<|begin|><|begin|>x",
    "<tool>x</tool>", "a<tool> <toolbox> <toolbox", "caf\u00e9<tool>caf\u00e9",
    "cafe\u0301 tag\u1eefd",
    "tagu\u031b\u0303d <tool> tagu\u031bd", "\u00dcber <|end|>\n\n next",
    "\U00010348\U0001d400\U000e0041", "\u02b0\u02c8 \u01c5 \u0e01 \u00aa\u00ba",
    "\ud7a3\u0f0b\u3007\u3021", "mixed\u4f60\u597dtext123\u0434\u0430",
    "ALLCAPS CamelCase snake_case",
]

PIECES = ["a", "B", "the", "ing", "'s", "'LL", "'", " ", "  ", "\n", "\r\n", "\t", "1", "42",
          "2026", ".", "!?",
          "\u00e9", "e\u0301", "\u00df", "\u4f60", "\u65e5\u672c", "\U0001f600", "\u200d",
          "\u0301", "\u00a0",
          "\u3000", "\u05e9", "\u0663", "\u00bd", "<|end|>", "<tool>", "<|", "fox", " dog", "-",
          "_", "\u017f"]


def added(tokenizer):
    tokenizer.add_special_tokens([AddedToken("<|begin|>", normalized=False, special=True),
                                  AddedToken("<|end|>", normalized=False, special=True)])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("</tool>"),
                          AddedToken("<toolbox>"), AddedToken("tag\u1eefd", normalized=True)])


def trained(pre_tokenizer, vocabulary, normalizer=None, ignore_merges=False, whole_alphabet=True,
            words=()):
    """`words` are tokens that no merges lead to, which only `ignore_merges` finds."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet()) if whole_alphabet else []
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False))
    if words:
        model = json.loads(tokenizer.to_str())["model"]
        vocab = model["vocab"] | {w: len(model["vocab"]) + i for i, w in enumerate(words)}
        merges = [tuple(pair) for pair in model["merges"]]
        tokenizer.model = models.BPE(vocab, merges, ignore_merges=ignore_merges)
    added(tokenizer)
    return tokenizer


def template(tokenizer, single):
    names = ["<|begin|>", "<|end|>"]
    return processors.TemplateProcessing(
        single=single, special_tokens=[(name, tokenizer.token_to_id(name)) for name in names])


def split(expression, behavior="isolated", invert=False):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(expression), behavior=behavior, invert=invert),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def make_all():
    made = {}
    gpt2 = trained(pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True), 600)
    gpt2.post_processor = processors.ByteLevel(trim_offsets=False)
    made["gpt2"] = json.loads(gpt2.to_str())
    made["gpt2"]["model"]["merges"] = [" ".join(pair) for pair in made["gpt2"]["model"]["merges"]]

    llama3 = trained(split(LLAMA3), 600, ignore_merges=True,
                     words=["\u0120xylophone", "zyx"])
    llama3.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), template(llama3, "<|begin|> $A")])
    made["llama3"] = json.loads(llama3.to_str())

    qwen2 = trained(split(QWEN2, "removed", True), 560, normalizer=normalizers.NFC())
    qwen2.post_processor = template(qwen2, "<|begin|> $A <|end|>")
    made["qwen2"] = json.loads(qwen2.to_str())

    digits = trained(pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]), 300,
        whole_alphabet=False)
    made["digits"] = json.loads(digits.to_str())
    return made


def fingerprint(ids):
    """FNV-1a over the ids as 32-bit little-endian numbers."""
    value = 0xCBF29CE484222325
    for byte in b"".join(i.to_bytes(4, "little") for i in ids):
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:016x}"


def golden(name, tokenizer, rng):
    texts = CASES + ["xylophone zyx", " xylophonezyx"]
    texts += ["".join(rng.choice(PIECES) for _ in range(rng.randint(1, 24))) for _ in range(60)]
    cases = []
    for text in texts:
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": tokenizer.encode(text).ids, "plain": plain,
                      "decoded": tokenizer.decode(plain),
                      "decodedWithSpecial": tokenizer.decode(plain, skip_special_tokens=False)})
    known = sorted(tokenizer.get_vocab().values())
    decodings = []
    for _ in range(60):
        ids = [rng.choice(known) for _ in range(rng.randint(1, 12))]
        decodings.append({"ids": ids, "text": tokenizer.decode(ids)})
    long_texts = []
    units = [("ab", 50000), ("the", 33000), ("\u4f60", 20000), (" ", 100000), ("12", 30000)]
    for unit, count in units:
        ids = tokenizer.encode(unit * count, add_special_tokens=False).ids
        long_texts.append(
            {"unit": unit, "count": count, "tokens": len(ids), "hash": fingerprint(ids)})
    size = max(known) + 1
    return {"name": name, "vocabularySize": size, "cases": cases, "decodings": decodings,
            "longTexts": long_texts}


def write(path, value):
    with open(path, "w", encoding="ascii") as file:
        json.dump(value, file, separators=(",", ":"))
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--default", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    rng = random.Random(7)
    os.makedirs(arguments.out, exist_ok=True)
    for name, value in make_all().items():
        write(os.path.join(arguments.out, f"{name}.tokenizer.json"), value)
        tokenizer = Tokenizer.from_str(json.dumps(value))
        write(os.path.join(arguments.out, f"{name}.golden.json"), golden(name, tokenizer, rng))
    default = Tokenizer.from_file(arguments.default)
    write(os.path.join(arguments.out, "default.golden.json"), golden("default", default, rng))


if __name__ == "__main__":
    main()

"""Tokenizers for tests, and what Python computes with them: run in a venv with tokenizers 0.23.3, numpy and transformers 5.24.0.

Writes bert.json, roberta.json and unigram.json, trained here, and expected.json, which test/unit/tasks compares the server's own results with.
"""

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.pipelines.token_classification import AggregationStrategy, TokenClassificationPipeline

HERE = Path(__file__).parent
TEXTS = json.loads((HERE / "texts.json").read_text("utf8"))
CORPUS = [
    "The quick brown fox jumps over the lazy dog near the river bank in New York and Paris.",
    "Ada Lovelace and Grace Hopper wrote programs; O'Neil lives in San Francisco.",
    "Ein Fuß, zwei Füße, Straße und Ärger über Größe. Élève, naïve, coöperate, façade.",
    "こんにちは世界。今日は良い天気ですね。東京は日本の首都です。 Привет мир, как дела? Ελλάδα και Κύπρος.",
    "I love this film, it is good, great, wonderful; I hate that movie, it is bad, awful, terrible 😀 😡.",
    "0 1 2 3 4 5 6 7 8 9 10 100 1000 3.14 -5 1e9 a@b.c http://example.com/path?x=y#z",
] * 4
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def bert() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=420, special_tokens=SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # As all-MiniLM-L6-v2 has them: neither may be used.
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    return tokenizer


def roberta() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=ROBERTA, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(" ", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=320, special_tokens=ROBERTA, unk_token="<unk>")
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def units(text: str, offset: int) -> int:
    """A place in code points as one in UTF-16 units."""
    return len(text[:offset].encode("utf-16-le")) // 2


def whole(tokenizer: Tokenizer, text: str) -> dict:
    encoding = tokenizer.encode(text)
    return {
        "ids": encoding.ids,
        "offsets": [[units(text, begin), units(text, end)] for begin, end in encoding.offsets],
        "decoded": tokenizer.decode(encoding.ids, skip_special_tokens=True),
    }


def cut(tokenizer: Tokenizer, texts: list[str], side: str, strategy: str = "longest_first") -> list:
    tokenizer.enable_truncation(12, direction=side, strategy=strategy)
    encoding = tokenizer.encode(*texts)
    tokenizer.no_truncation()
    return [encoding.ids, encoding.type_ids]


def windows(tokenizer: Tokenizer, text: str) -> list:
    tokenizer.enable_truncation(12, stride=3)
    encoding = tokenizer.encode(text)
    tokenizer.no_truncation()
    return [encoding.ids, *(each.ids for each in encoding.overflowing)]


def pairs() -> list[list[str]]:
    chosen = [text for text in TEXTS if len(text) < 400]
    return [[chosen[index], chosen[(index * 7 + 3) % len(chosen)]] for index in range(0, len(chosen), 3)]


def of_tokenizer(name: str, tokenizer: Tokenizer) -> dict:
    tokenizer.save(str(HERE / f"{name}.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # The second text alone may be too long where only the first is cut.
    room = 12 - tokenizer.num_special_tokens_to_add(True)
    first = [pair for pair in pairs() if len(tokenizer.encode(pair[1], add_special_tokens=False).ids) < room]
    return {
        "texts": [whole(tokenizer, text) for text in TEXTS],
        "cut": {side: [cut(tokenizer, [text], side) for text in TEXTS] for side in ("left", "right")},
        "pairs": {side: [cut(tokenizer, pair, side) for pair in pairs()] for side in ("left", "right")},
        "first": [[*pair, *cut(tokenizer, pair, "right", "only_first")] for pair in first],
        "windows": [windows(tokenizer, text) for text in TEXTS],
    }


LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC"]
NAMED = [
    "Ada Lovelace lives in New York 😀 and Paris.",
    "😀😀 O'Neil, Grace Hopper-Lovelace and San Francisco; 東京 は 日本 wonderful",
    "terrible wonderful terrible Füße naïve",
    "",
]


class Config:
    id2label = dict(enumerate(LABELS))


class Model:
    config = Config()


class Words:
    """What the pipeline asks a tokenizer for."""

    def __init__(self, tokenizer: Tokenizer, unknown: str):
        self._tokenizer = tokenizer
        self.unk_token_id = tokenizer.token_to_id(unknown)

    def convert_ids_to_tokens(self, token: int) -> str:
        return self._tokenizer.id_to_token(token)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        return "".join(tokens)


def entities(tokenizer: Tokenizer, unknown: str, table: np.ndarray) -> list:
    """Transformers' own aggregation, with a table in the place of a model."""
    pipeline = object.__new__(TokenClassificationPipeline)
    pipeline.tokenizer = Words(tokenizer, unknown)
    pipeline.model = Model()
    found = []
    for text in NAMED:
        encoding = tokenizer.encode(text)
        logits = table[encoding.ids].astype(np.float64)
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        scores = powers / powers.sum(-1, keepdims=True)
        for strategy in AggregationStrategy:
            parts = pipeline.gather_pre_entities(
                text, encoding.ids, scores, encoding.offsets, encoding.special_tokens_mask, strategy
            )
            groups = [
                {
                    "label": each.get("entity", each.get("entity_group")),
                    "score": float(each["score"]),
                    "start": units(text, each["start"]),
                    "end": units(text, each["end"]),
                }
                for each in pipeline.aggregate(parts, strategy)
            ]
            kept = [group for group in groups if group["label"] != "O"]
            found.append({"text": text, "strategy": strategy.value, "entities": kept})
    return found


def pooled() -> dict:
    """The formulas of sentence-transformers' Pooling, with a mask for padding on both sides."""
    generator = np.random.default_rng(15)
    tokens = generator.normal(size=(5, 4)).astype(np.float32)
    result = {"tokens": tokens.tolist(), "poolings": {}, "prompt": {}}
    for where, begin in (("poolings", 0), ("prompt", 2)):
        mask = np.array([0] * begin + [1] * (5 - begin), dtype=np.float64)[:, None]
        count = max(mask.sum(), 1e-9)
        weights = np.arange(1, 6, dtype=np.float64)[:, None] * mask
        result[where] = {
            "cls": tokens[0].tolist(),
            "max": np.where(mask == 1, tokens, -1e9).max(0).tolist(),
            "mean": ((tokens * mask).sum(0) / count).tolist(),
            "mean-sqrt": ((tokens * mask).sum(0) / np.sqrt(count)).tolist(),
            "weighted-mean": ((tokens * weights).sum(0) / max(weights.sum(), 1e-9)).tolist(),
            "last": tokens[4].tolist(),
        }
    return result


def zero_shot() -> list:
    """Transformers' two ways: each label by itself, or all labels together."""
    generator = np.random.default_rng(16)
    cases = []
    for count, entailment, multi in ((3, 2, False), (3, 2, True), (1, 2, False), (4, 0, True)):
        logits = generator.normal(size=(count, 3)) * 3
        contradiction = -1 if entailment == 0 else 0
        if multi or count == 1:
            both = np.exp(logits[:, [contradiction, entailment]])
            scores = both[:, 1] / both.sum(-1)
        else:
            powers = np.exp(logits[:, entailment])
            scores = powers / powers.sum()
        cases.append({"logits": logits.tolist(), "entailment": entailment, "multi": multi, "scores": scores.tolist()})
    return cases


def main() -> None:
    tokenizers = {"bert": bert(), "roberta": roberta(), "unigram": unigram()}
    expected = {name: of_tokenizer(name, tokenizer) for name, tokenizer in tokenizers.items()}
    table = (np.random.default_rng(17).normal(size=(420, len(LABELS))) * 2).astype(np.float32)
    expected["pairs"] = pairs()
    expected["entities"] = {
        "labels": LABELS,
        "table": np.round(table, 3).astype(np.float32).tolist(),
        "bert": entities(tokenizers["bert"], "[UNK]", np.round(table, 3).astype(np.float32)),
        "roberta": entities(tokenizers["roberta"], "<unk>", np.round(table, 3).astype(np.float32)),
    }
    expected["pooling"] = pooled()
    expected["zeroShot"] = zero_shot()
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=True, separators=(",", ":")) + "\n")


main()

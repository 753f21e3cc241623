"""Word pieces of some sentences, by the Python implementation of BERT's tokenizer (not the one that mtlc calls).

Usage: make_wordpiece.py VOCAB    VOCAB is the `vocab.txt` of an uncased BERT; needs `transformers` below 5.

Writes `wordpiece.json`: for each text its pieces, and their ids in the vocabulary of MiniLM and BERT base uncased. A vocabulary that holds just these pieces cuts the same texts in the same
way, since the longest piece that fits is among them; so no vocabulary is committed.
"""

import json
import sys
from pathlib import Path

from transformers import BertTokenizer

TEXTS = [
    # The sentences of `backbones/minilm.safetensors`.
    "This is an example sentence.",
    "The quick brown fox jumps over the lazy dog.",
    "Transfer learning reuses pretrained weights across tasks!",
    "Crème brûlée — naïve café 北京 🚀 antidisestablishmentarianism",
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "I absolutely loved this movie; it was brilliant.",
    "I hated this film, it was dreadful.",
    "",
    "  tabs\tand\u00a0spaces \u200b zero-width, control \u0007 and \ufffd ",
    "İstanbul STRASSE straße ﬁne Ⅷ ½ 10,000.50€ don't e-mail@example.org",
    "한국어 日本語のテスト 漢字kanji",
    "[SEP] is special, [sep] is not, [MASK] neither",
    "x" * 101 + " " + "y" * 100,
    "## #hash ##ed",
]

tokenizer = BertTokenizer(sys.argv[1], do_lower_case=True)

def golden(text):
    ids = tokenizer.encode(text)
    return {"text": text, "ids": ids, "pieces": tokenizer.convert_ids_to_tokens(ids)}


goldens = [golden(text) for text in TEXTS]
path = Path(__file__).parent / "wordpiece.json"
lines = ",\n".join(json.dumps(golden, ensure_ascii=False) for golden in goldens)
path.write_text(f"[\n{lines}\n]\n")

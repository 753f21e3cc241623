"""Makes the data files of specs/data/ from the scikit-learn wheel and a copy of the solar flare table.

    pip download --no-deps scikit-learn
    python tests/goldens/make_data.py scikit_learn-*.whl solar_flare.csv specs/data

The values stay as they are: the wheel's files get a header, wdbc.csv the names of its classes, and the digits are written
as whole numbers. The same wheel gives the same bytes.
"""

import gzip
import pathlib
import sys
import zipfile

MEASURES = [
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry",
    "fractal dimension",
]


def wdbc(text):
    """569 rows of 30 features and a class; the first line holds counts and class names."""
    first, *rows = text.splitlines()
    count, features, *classes = first.split(",")
    assert (int(count), int(features), classes) == (len(rows), 30, ["malignant", "benign"]), first
    header = [f"mean {m}" for m in MEASURES] + [f"{m} error" for m in MEASURES] + [f"worst {m}" for m in MEASURES]
    lines = [",".join(header + ["diagnosis"])]
    for row in rows:
        *cells, target = row.split(",")
        lines.append(",".join(cells + [classes[int(target)]]))
    return "\n".join(lines) + "\n"


def digits(text):
    """1797 rows of 64 pixels and the digit: whole numbers, which the wheel writes as 0.000000000000000000e+00."""
    lines = [",".join([f"pixel {i}" for i in range(64)] + ["digit"])]
    for row in text.splitlines():
        lines.append(",".join(str(int(float(cell))) for cell in row.split(",")))
    return "\n".join(lines) + "\n"


def main(wheel, flares, folder):
    folder = pathlib.Path(folder)
    with zipfile.ZipFile(wheel) as archive:
        data = "sklearn/datasets/data/"
        (folder / "wdbc.csv").write_text(wdbc(archive.read(data + "breast_cancer.csv").decode()), newline="\n")
        packed = digits(gzip.decompress(archive.read(data + "digits.csv.gz")).decode()).encode()
    # No time and no name in the header, as with `gzip -n -9`.
    (folder / "digits.csv.gz").write_bytes(gzip.compress(packed, compresslevel=9, mtime=0))
    (folder / "solar_flare.csv").write_bytes(pathlib.Path(flares).read_bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python3
"""Make langid, the data set of the quick start: which language is a name in?

The Debian package iso-codes translates the names of countries, languages,
currencies and scripts. Every translated name is a row, "language TAB name", of
langid.train.tsv or langid.test.tsv.
"""

import argparse
import gettext
import pathlib
import random
import sys

LOCALES = pathlib.Path("/usr/share/locale")
CATALOGS = "*/LC_MESSAGES/iso_*.mo"
NAMES_MIN = 100  # Languages with fewer names are left out.
TEST_EVERY = 10
SEED = 7


def read_names(locales):
    """Map each language code to the set of its names."""
    names = {}
    for path in sorted(locales.glob(CATALOGS)):
        language = path.parent.parent.name
        with path.open("rb") as file:
            translations = gettext.GNUTranslations(file)
        names.setdefault(language, set()).update(translated(translations))
    return names


def translated(translations):
    """Yield the translations of a catalog, each as one line."""
    # The only way to list a catalog that the standard library has. Its keys
    # are the English names; plural forms have tuples; "" has the header.
    for english, name in translations._catalog.items():
        if isinstance(english, str) and english and name:
            yield " ".join(name.split())


def make_rows(names):
    """All (language, name), in a random order that is always the same."""
    rows = [(language, name) for language in sorted(names)
            for name in sorted(names[language])
            if len(names[language]) >= NAMES_MIN]
    random.Random(SEED).shuffle(rows)
    return rows


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{language}\t{name}\n" for language, name in rows)
    print(f"{path}: {len(rows):,} rows")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."),
                        metavar="DIR", help="where to write (default: here)")
    parser.add_argument("--locales", type=pathlib.Path, default=LOCALES,
                        metavar="DIR", help="where iso-codes is installed")
    args = parser.parse_args()

    rows = make_rows(read_names(args.locales))
    if not rows:
        sys.exit(f"langid: no {CATALOGS} below {args.locales}: install the "
                 "Debian package iso-codes (apt-get install iso-codes)")
    args.out.mkdir(parents=True, exist_ok=True)
    test = rows[::TEST_EVERY]
    train = [row for i, row in enumerate(rows) if i % TEST_EVERY != 0]
    write(args.out / "langid.train.tsv", train)
    write(args.out / "langid.test.tsv", test)
    print(f"{len({language for language, _ in rows})} languages")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Check what the compiler does not. Run by ctest as tidy.

Layering   a module includes itself and what its module() line USES.
Length     a function has at most 70 lines, a file at most 1000.
Purity     only cli/ prints, exits or reads the environment; only core/ reads
           clocks and makes chance; nobody sleeps but system tests.
Headers    a header begins with a comment that says what it is for, and names
           its guard after its path.
Tests      a unit test is named after a header that there is.
Words      nothing is left to be done later, and nobody's home is named.
Layout     clang-format agrees, where it is installed.

tidy.py --self-test breaks each rule in a small tree and demands the message.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 1000
C = (".c", ".h")
SOURCE = r"(?<![\w.>])"  # Not the end of another name, nor a member.
FORBIDDEN = [  # what, call, directories where it is allowed
    ("prints or exits",
     SOURCE + r"(?:printf|vprintf|puts|putchar|perror|_?exit|abort)\(",
     ("cli", "tests")),
    ("prints", r"\bf(?:printf|puts|putc)\((?:stdout|stderr|.*\bstderr\))",
     ("cli", "tests")),
    ("reads the environment", SOURCE + r"(?:secure_)?getenv\(",
     ("cli", "tests")),
    ("reads a clock or makes chance",
     SOURCE + r"(?:time|clock|clock_gettime|gettimeofday|s?rand|s?random|"
     r"[dlm]rand48|getrandom|getentropy)\(",
     ("core",)),
    ("sleeps",
     SOURCE + r"(?:u|nano|clock_nano)?sleep\(", ()),
]
SKIPPED = {".git", "__pycache__"}
# Written in halves, so that this file does not break its own rules.
LATER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
HOME = re.compile(r"(?<![\w./])/(?:ho" r"me|Us" r"ers|ro" r"ot)/\w")


def layering(root):
    """Which modules each module may include: read from CMakeLists.txt."""
    text = (root / "CMakeLists.txt").read_text()
    modules = {}
    for line in re.findall(r"^module\((.*?)\)", text, re.S | re.M):
        words = line.split()
        uses = words[words.index("USES") + 1:] if "USES" in words else []
        modules[words[0]] = {u for u in uses if "::" not in u} | {words[0]}
    return modules


def functions(lines):
    """Yield (line number, length) of each function: signature to brace."""
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            first = start
            while first > 0 and lines[first - 1].strip() and \
                    not lines[first - 1].rstrip().endswith(("*/", ";", "}")):
                first -= 1
            yield first + 1, i - first + 1
            start = None


def without_comments(text):
    """The code with comments and strings blanked, lines kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text,
                  flags=re.S)


def check_length(name, lines):
    if len(lines) > FILE_LINES_MAX:
        yield f"{name}: {len(lines)} lines, at most {FILE_LINES_MAX}"
    for number, length in functions(lines):
        if length > FUNCTION_LINES_MAX:
            yield (f"{name}:{number}: function of {length} lines, at most "
                   f"{FUNCTION_LINES_MAX}")


def check_header(name, lines):
    if not lines or not lines[0].startswith("/* "):
        yield f"{name}:1: no comment says what this header is for"
    guard = re.sub(r"[/.]", "_", str(name)).upper() + "_"
    if f"#ifndef {guard}" not in lines or f"#define {guard}" not in lines:
        yield f"{name}: the include guard is not {guard}"


def check_layering(name, lines, modules):
    module = name.parts[0]
    for number, line in enumerate(lines, 1):
        used = re.match(r'\s*#\s*include\s+"(\w+)/', line)
        if not used or module not in modules:
            continue
        if used[1] not in modules[module]:
            yield f"{name}:{number}: {module} may not include {used[1]}"


def check_purity(name, text):
    code = without_comments(text)
    for number, line in enumerate(code.splitlines(), 1):
        for what, call, allowed in FORBIDDEN:
            if name.parts[0] not in allowed and re.search(call, line):
                yield (f"{name}:{number}: {what}, which is forbidden here: "
                       f"{line.strip()}")


def check_test(root, name):
    """tests/unit/test_sv_batch.c tests sv/batch.h, and so may
    test_sv_batch_more.c."""
    if name.parts[:2] != ("tests", "unit") or name.suffix != ".c":
        return
    words = name.stem.split("_")[1:]
    if not name.stem.startswith("test_") or len(words) < 2:
        yield f"{name}: is not named test_<directory>_<header>.c"
    elif not any((root / words[0] / ("_".join(words[1:n]) + ".h")).exists()
                 for n in range(2, len(words) + 1)):
        yield f"{name}: tests {words[0]}/{'_'.join(words[1:])}.h, which is not"


def check_words(name, lines):
    for number, line in enumerate(lines, 1):
        if LATER.search(line):
            yield f"{name}:{number}: do it now: {line.strip()}"
        if HOME.search(line):
            yield f"{name}:{number}: names somebody's home: {line.strip()}"
        if line != line.rstrip():
            yield f"{name}:{number}: spaces at the end of the line"


def check_layout(root, paths):
    """clang-format, all files at once; a file a line."""
    tool = shutil.which("clang-format")
    if tool is None or not paths:
        if tool is None:
            print("clang-format is not installed: layout not checked")
        return
    done = subprocess.run([tool, "--dry-run", "-Werror", *map(str, paths)],
                          cwd=root, capture_output=True, text=True,
                          check=False)
    wrong = dict.fromkeys(re.findall(r"^(\S+?):(\d+):\d+: error", done.stderr,
                                     re.M))
    files = {}
    for path, number in wrong:
        files.setdefault(path, number)
    for path, number in files.items():
        yield f"{path}:{number}: clang-format would lay it out otherwise"
    if done.returncode != 0 and not files:
        yield f"clang-format: {done.stderr.strip()}"


def files_of(root):
    """Every file of the project, with its name in it."""
    for directory, below, files in os.walk(root):
        below[:] = sorted(d for d in below if d not in SKIPPED and
                          not d.startswith("build"))
        for file in sorted(files):
            path = pathlib.Path(directory, file)
            yield path, path.relative_to(root)


def check(root):
    modules = layering(root)
    formatted = []
    for path, name in files_of(root):
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # Test data that is meant to be broken.
        lines = text.splitlines()
        if name.parts[:2] != ("tests", "data"):
            yield from check_words(name, lines)
            yield from check_length(name, lines)
        if name.suffix not in C:
            continue
        formatted.append(name)
        if name.suffix == ".h":
            yield from check_header(name, lines)
        yield from check_layering(name, lines, modules)
        yield from check_purity(name, text)
        yield from check_test(root, name)
    yield from check_layout(root, formatted)


GOOD_HEADER = "/* What. */\n\n#ifndef A_X_H_\n#define A_X_H_\n#endif\n"
BAD = [  # file, its text, what tidy must say of it
    ("a/y.c", '#include "b/z.h"\n', "a may not include b"),
    ("a/y.c", '#  include "b/z.h"\n', "a may not include b"),
    ("a/y.c", "int f(\n    int x)\n{\n" + "\n" * 70 + "}\n",
     "a/y.c:1: function of 74 lines"),
    ("a/y.c", "\n" * 1001, "1001 lines"),
    ("docs/y.md", "\n" * 1001, "1001 lines"),
    ("a/y.c", 'int f(void)\n{\n    printf("x");\n}\n', "prints or exits"),
    ("a/y.c", "int f(void)\n{\n    return puts(x);\n}\n", "prints or exits"),
    ("a/y.c", "int f(void)\n{\n    fputs(x, stderr);\n}\n", "prints"),
    ("a/y.c", "int f(void)\n{\n    exit(1);\n}\n", "prints or exits"),
    ("tests/unit/test_a_x.c", "int f(void)\n{\n    time(NULL);\n}\n",
     "reads a clock"),
    ("cli/y.c", "int f(void)\n{\n    return rand();\n}\n", "makes chance"),
    ("a/y.c", "int f(void)\n{\n    getenv(x);\n}\n", "environment"),
    ("cli/y.c", "int f(void)\n{\n    usleep(1);\n}\n", "sleeps"),
    ("tests/unit/test_a_x.c", "int f(void)\n{\n    sleep(1);\n}\n", "sleeps"),
    ("a/y.h", "#ifndef A_Y_H_\n#define A_Y_H_\n#endif\n", "what this header"),
    ("a/y.h", "/* What. */\n#ifndef Y_H\n#define Y_H\n#endif\n", "A_Y_H_"),
    ("tests/unit/test_a_q.c", "int x;\n", "tests a/q.h, which is not"),
    ("tests/unit/a.c", "int x;\n", "is not named test_"),
    ("docs/y.md", "TO" "DO: write\n", "do it now"),
    ("README.md", "see /ho" "me/me/x\n", "somebody's home"),
    ("scripts/y.sh", "true \n", "spaces at the end"),
]
FINE = [  # file and text that must pass
    ("a/y.c", '/* printf() is not for us. */\nconst char *s = "exit(1)";\n'),
    ("a/y.c", "int f(struct t *t)\n{\n    return t->time(t) + fprintf(f);\n}\n"),
    ("cli/y.c", "int f(void)\n{\n    return printf(getenv(x));\n}\n"),
    ("cli/y.c", '#include "a/x.h"\n'),
    ("core/y.c", "int f(void)\n{\n    return clock_gettime(0, t);\n}\n"),
    ("tests/system/test_x.sh", "sleep 1\n"),
    ("tests/data/bad.svm", "TO" "DO \n"),
    ("tests/unit/test_a_x.c", '#include "a/x.h"\n'),
    ("tests/unit/test_a_x_more.c", '#include "a/x.h"\n'),
]


def tree(extra):
    """Messages of tidy about a small good tree with one more file."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        name, text = extra
        files = {"CMakeLists.txt": "module(a USES core m)\nmodule(b)\n"
                                   "module(cli USES a b)\n",
                 ".clang-format": (ROOT / ".clang-format").read_text(),
                 "a/x.h": GOOD_HEADER, name: text}
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(content)
        return list(check(root))


def self_test():
    failures = []
    for name, text, message in BAD:
        if not any(message in m for m in tree((name, text))):
            failures.append(f"{name} passes, wanted: {message}\n{text}")
    for name, text in FINE:
        failures += [f"refused: {m}\n{text}" for m in tree((name, text))]
    if shutil.which("clang-format"):
        said = tree(("a/y.c", "int  x;\n"))
        if not any("clang-format would" in m for m in said):
            failures.append("layout is not checked")
    return failures


def main(argv):
    if argv[1:] == ["--self-test"]:
        errors = self_test()
    elif not argv[1:]:
        errors = self_test() + list(check(ROOT))
    else:
        errors = ["usage: tidy.py [--self-test]"]
    print("\n".join(errors), file=sys.stderr, end="\n" if errors else "")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

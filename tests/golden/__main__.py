"""`python -m tests.golden`: writes the golden prompts anew. Read the difference before it is committed."""

from tests.golden.recording import CASES, FOLDER, written


def main() -> None:
    """One file a case; files of cases that are gone go."""
    for stale in {path.stem for path in FOLDER.glob("*.txt")} - set(CASES):
        (FOLDER / f"{stale}.txt").unlink()
    for case in CASES:
        (FOLDER / f"{case}.txt").write_text(written(case), "utf-8")


if __name__ == "__main__":
    main()

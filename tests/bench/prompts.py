"""Forty recorded English prompts with their transcripts: `prompts.py FOLDER` fetches them on Debian.

They are Asterisk's core sounds (CC BY-SA 3.0), a woman's voice at 16 kHz in G.722, with what she was asked
to say. Neither Whisper nor anything here was tuned on them.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from apptools.apt import Apt

PACKAGES = {
    "asterisk-core-sounds-en-g722": "1.6.1-1",
    "asterisk-core-sounds-en": "1.6.1-1",
}
SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
TEXTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
COUNT = 40
FEWEST_WORDS, MOST_WORDS = 5, 40
DECODER = "G722==1.2.8"


def main(folder: Path) -> None:
    """NAME.wav and NAME.txt for each prompt; what is there is kept."""
    if len(list(folder.glob("*.txt"))) == COUNT:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        apt = Apt(root, ["bookworm"])
        for package, version in PACKAGES.items():
            subprocess.run(["dpkg", "-x", apt.download(package, version), root / "x"], check=True)
        texts = chosen(
            gzip.decompress((root / "x" / TEXTS).read_bytes()).decode(), root / "x" / SOUNDS
        )
        install = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--target",
            root / "g722",
        ]
        subprocess.run([*install, DECODER], check=True)
        sys.path.insert(0, str(root / "g722"))
        for name, text in texts.items():
            write(root / "x" / SOUNDS / f"{name}.g722", folder / f"{name.replace('/', '_')}.wav")
            (folder / f"{name.replace('/', '_')}.txt").write_text(f"{text}\n", encoding="utf-8")


def chosen(listing: str, sounds: Path) -> dict[str, str]:
    """Prompts of plain words that are there, as the digests of their names fall."""
    found = {}
    for line in listing.splitlines():
        name, _, text = line.partition(": ")
        words = len(text.split())
        plain = re.fullmatch(r"[A-Za-z',.;:?! -]+", text) and FEWEST_WORDS <= words <= MOST_WORDS
        if plain and not line.startswith(";") and (sounds / f"{name}.g722").is_file():
            found[name] = text
    order = sorted(found, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return {name: found[name] for name in sorted(order[:COUNT])}


def write(source: Path, path: Path) -> None:
    """A G.722 file as 16-bit WAVE of 16 kHz."""
    from G722 import G722  # type: ignore[import-not-found]

    samples = G722(16000, 64000).decode(source.read_bytes())
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes() if hasattr(samples, "tobytes") else bytes(samples))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

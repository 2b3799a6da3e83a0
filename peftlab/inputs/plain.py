"""Words that strangers wrote (names of classes and files), as text that does nothing: one line, without a control code."""

import unicodedata

# control codes, marks that turn the direction of writing, halves of a character, ends of lines and paragraphs
ACTIVE = ("Cc", "Cf", "Cs", "Zl", "Zp")


def plain(text: str) -> str:
    r"""`text` with every character that would act replaced by its number, as `\x1b`; bytes that are no UTF-8, too."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(letter) if unicodedata.category(letter) in ACTIVE else letter for letter in text)


def _shown(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

"""The rung `parse`: does a real parser accept every file, and do names in one file exist in another?"""

from __future__ import annotations

from edgepack.verifying import gradle, parsers, xcode
from edgepack.verifying.project import Checked, Project, wrong


def check(project: Project) -> list[Checked]:
    """Every file that has a parser, and the parser. Raises E610 for the first that is refused."""
    checked = []
    for name, source in sorted(project.files.items()):
        found = parsers.parser_of(name)
        if found is None:
            if source.endswith(".j2"):
                raise wrong(name, 0, "nothing here can parse a file of its kind")
            continue
        label, parse = found
        if not (project.folder / name).is_file():
            raise wrong(name, 0, "the file is missing")
        try:
            parse((project.folder / name).read_text("utf-8"))
        except parsers.ParseError as fault:
            raise wrong(name, fault.line, fault.message) from fault
        except UnicodeDecodeError as error:
            raise wrong(name, 0, f"not UTF-8: {error.reason}") from error
        checked.append(Checked(path=name, parser=label))
    if project.platform == "android":
        gradle.check_aliases(project.folder)
    else:
        xcode.check_references(project.folder)
    return checked

#!/usr/bin/env python3
"""Prints the licences of what is built into meetwatch, each text once, with the crates that it is of.

It takes what the crates themselves ship and asks nobody. `cargo deny check licenses` is what judges them.
"""

import collections
import json
import pathlib
import re
import subprocess

TARGET = "x86_64-unknown-linux-gnu"
NAMES = re.compile(r"^(licen[cs]e|copying|notice|copyright|unlicense)", re.IGNORECASE)
RULE = "=" * 80


def built_in():
    """The packages that end up in the binary: all but what only tests and build scripts use."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    seen, waiting = {root}, [root]
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            inside = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if inside and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    found = [packages[name] for name in seen - {root}]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def texts_of(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    files = {path for path in folder.iterdir() if path.is_file() and NAMES.match(path.name)}
    if package["license_file"]:
        files.add(folder / package["license_file"])
    # Some ship a folder of them.
    for inner in folder.iterdir():
        if inner.is_dir() and NAMES.match(inner.name):
            files.update(path for path in inner.iterdir() if path.is_file())
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in sorted(files)]


def main():
    users, bare = collections.defaultdict(list), []
    packages = built_in()
    for package in packages:
        line = f"  {package['name']} {package['version']}: {package['license'] or 'see below'}"
        texts = texts_of(package)
        for text in texts:
            users[text].append(line)
        if not texts:
            bare.append(line)
    print(f"What is built into meetwatch besides its own code: {len(packages)} crates, and under which licences.")
    if bare:
        print(f"\n{RULE}\nThese ship no text of their own; the licences that they name are among those below.\n")
        print("\n".join(bare))
    for text, lines in sorted(users.items(), key=lambda item: (-len(item[1]), item[1])):
        print(f"\n{RULE}\n" + "\n".join(lines) + f"\n{'-' * 80}\n{text}")


if __name__ == "__main__":
    main()

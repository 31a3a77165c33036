#!/usr/bin/env python3
"""Prints the licences of the crates that are built into meetwatch: each text once, with the crates that use it.

It uses the licence files that the crates ship, and no network. `cargo deny check licenses` checks whether the licences are allowed.
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
    """Returns the packages that end up in the binary: all except those used only by tests and build scripts."""
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
    # Some crates ship a folder of licence files.
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
    print(f"The {len(packages)} crates that are built into meetwatch, and their licences.")
    if bare:
        print(f"\n{RULE}\nThese crates ship no licence text. The licences that they name are among those below.\n")
        print("\n".join(bare))
    for text, lines in sorted(users.items(), key=lambda item: (-len(item[1]), item[1])):
        print(f"\n{RULE}\n" + "\n".join(lines) + f"\n{'-' * 80}\n{text}")


if __name__ == "__main__":
    main()

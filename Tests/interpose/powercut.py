#!/usr/bin/env python3
"""Makes the images that a power cut could leave behind, from a record of powercut.so.

  powercut.py events RECORD
      lists what happened, numbered
  powercut.py image RECORD TARGET --cut N --seed S [--base FOLDER]
      writes into the new folder TARGET what the disk could hold if the power went after N events
  powercut.py check RECORD --rounds N --seed S [--base FOLDER] --command 'prog {image} {note}'
      makes N images and runs the command on each; {note} is the last note (its last line) that
      was written before the cut, or "-". A command that does not exit with 0 ends the check;
      its image is kept and the way to make it again printed.

The rules: what a file sync (or a synchronous write) that returned covers is there. Of everything
else that was asked for, each write is there, or is not, or is torn in pieces of 512 or 4096
bytes; the event that was under way at the cut as well. Names (creations, renames, removals)
happen in order, and are certain only after a sync of their folder.
"""
import argparse
import bisect
import os
import random
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

HEAD = struct.Struct("<IBBHQQ")
MAGIC = 0x54435750
WRITE, TRUNCATE, ALLOCATE, SYNC, CREATE, RENAME, UNLINK, NOTE, SYNC_FOLDER = range(1, 10)
NAMES = dict(enumerate(
    "write truncate allocate sync create rename unlink note sync-folder".split(), 1))


class Event:
    __slots__ = ("kind", "synchronous", "path", "offset", "data", "file", "durable_at")

    def __init__(self, kind, flags, path, offset, data):
        self.kind, self.synchronous, self.path = kind, bool(flags & 1), path
        self.offset, self.data = offset, data
        self.file = None        # which file it was, whatever its name
        self.durable_at = None  # the number of events after which it is certain


def read_record(path, without_syncs=False):
    events = []
    with open(path, "rb") as record:
        while head := record.read(HEAD.size):
            magic, kind, flags, path_bytes, offset, data_bytes = HEAD.unpack(head)
            if magic != MAGIC:
                sys.exit(f"{path}: not a record, or damaged")
            name = record.read(path_bytes).decode()
            data = record.read(data_bytes)
            if name.endswith(" (deleted)"):
                continue
            if without_syncs:
                flags = 0
                if kind in (SYNC, SYNC_FOLDER):
                    continue
            events.append(Event(kind, flags, name, offset, data))
    connect(events)
    return events


def connect(events):
    """Finds out which file each event was about, and when it became certain."""
    names, pending, unnamed = {}, {}, {}
    for index, event in enumerate(events):
        if event.kind in (CREATE, UNLINK, RENAME):
            unnamed.setdefault(os.path.dirname(event.path) or ".", []).append(event)
        if event.kind == CREATE:
            names[event.path] = event.file = object()
        elif event.kind == UNLINK:
            names.pop(event.path, None)
        elif event.kind == RENAME:
            event.file = names.pop(event.path, event.path)
            target = event.data.decode()
            names[target] = event.file
            unnamed.setdefault(os.path.dirname(target) or ".", []).append(event)
        elif event.kind in (WRITE, TRUNCATE, ALLOCATE):
            event.file = names.setdefault(event.path, event.path)
            if event.synchronous:
                event.durable_at = index + 1
            else:
                pending.setdefault(event.file, []).append(event)
        elif event.kind == SYNC:
            for earlier in pending.pop(names.get(event.path, event.path), []):
                earlier.durable_at = index + 1
        elif event.kind == SYNC_FOLDER:
            for earlier in unnamed.pop(event.path, []):
                if earlier.durable_at is None:
                    earlier.durable_at = index + 1


class Image:
    """Files by identity, and names for them."""

    def __init__(self, base):
        self.files, self.names = {}, {}
        for folder, _, found in os.walk(base) if base else ():
            for name in found:
                path = os.path.join(folder, name)
                below = os.path.relpath(path, base)
                with open(path, "rb") as file:
                    self.files[below] = bytearray(file.read())
                self.names[below] = below

    def content(self, event):
        return self.files.setdefault(event.file, bytearray())

    def write(self, event, start, end):
        content = self.content(event)
        first = event.offset + start
        if len(content) < event.offset + end:
            content.extend(bytes(event.offset + end - len(content)))
        content[first:event.offset + end] = event.data[start:end]

    def resize(self, event):
        content = self.content(event)
        if event.kind == TRUNCATE and len(content) > event.offset:
            del content[event.offset:]
        elif len(content) < event.offset:
            content.extend(bytes(event.offset - len(content)))

    def rename(self, event):
        if event.kind == CREATE:
            self.names[event.path] = event.file
        elif event.kind == UNLINK:
            self.names.pop(event.path, None)
        else:
            self.names.pop(event.path, None)
            self.names[event.data.decode()] = event.file

    def save(self, target):
        os.makedirs(target)
        for name, file in self.names.items():
            path = os.path.join(target, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(self.files.get(file, b""))


def pieces(event, grain):
    """The event's data cut where the disk would cut it."""
    start = 0
    while start < len(event.data):
        end = min(len(event.data), start + grain - (event.offset + start) % grain)
        yield start, end
        start = end


def make_image(events, cut, seed, base):
    chance = random.Random(f"{seed}/{cut}")
    grain = chance.choice((512, 4096))
    likely = chance.choice((0.1, 0.5, 0.9))
    image = Image(base)
    # A sync or note under way has done nothing yet; a write may have done some of it.
    happened = events[:cut + 1]
    under_way = happened[cut] if cut < len(events) else None
    doubtful_names = 0
    for event in happened:
        if event.kind in (CREATE, RENAME, UNLINK):
            certain = event.durable_at is not None and event.durable_at <= cut
            doubtful_names += 0 if certain else 1
    # Names happen in order: certain ones carry all before them.
    last_certain = max((i for i, e in enumerate(happened) if e.kind in (CREATE, RENAME, UNLINK)
                        and e.durable_at is not None and e.durable_at <= cut), default=-1)
    names_kept = chance.randint(0, doubtful_names)
    for index, event in enumerate(happened):
        if event.kind in (CREATE, RENAME, UNLINK):
            if index <= last_certain:
                image.rename(event)
            elif names_kept > 0:
                names_kept -= 1
                image.rename(event)
            continue
        if event.kind not in (WRITE, TRUNCATE, ALLOCATE):
            continue
        certain = (event is not under_way and event.durable_at is not None
                   and event.durable_at <= cut)
        if event.kind != WRITE:
            if certain or chance.random() < likely:
                image.resize(event)
        elif certain or chance.random() < likely / 2:
            image.write(event, 0, len(event.data))
        elif chance.random() < 0.7:
            for start, end in pieces(event, grain):
                if chance.random() < likely:
                    image.write(event, start, end)
    return image


def last_note(events, cut):
    text = b"".join(event.data for event in events[:cut] if event.kind == NOTE)
    lines = text.decode(errors="replace").split("\n")[:-1]
    return lines[-1] if lines else "-"


def check(arguments, events):
    chance = random.Random(arguments.seed)
    # Half of the cuts fall beside a sync, where rules are made and broken.
    edges = [i for i, e in enumerate(events)
             if e.kind in (SYNC, SYNC_FOLDER, NOTE) or e.kind == WRITE and e.synchronous]
    folder = tempfile.mkdtemp(prefix="powercut-", dir=arguments.folder)
    for number in range(arguments.rounds):
        cut = chance.randint(0, len(events))
        if edges and number % 2:
            near = edges[min(bisect.bisect(edges, cut), len(edges) - 1)]
            cut = max(0, min(len(events), near + chance.choice((-1, 0, 0, 1))))
        seed = arguments.seed * 1_000_003 + number
        target = os.path.join(folder, f"image-{number}")
        make_image(events, cut, seed, arguments.base).save(target)
        command = [part.replace("{image}", target).replace("{note}", last_note(events, cut))
                   for part in shlex.split(arguments.command)]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            print(result.stdout.decode(errors="replace"), end="")
            print(f"failed with {result.returncode}: cut {cut} of {len(events)}, seed {seed}, "
                  f"note {last_note(events, cut)}, image {target}")
            print("again: powercut.py image", arguments.record, "TARGET --cut", cut,
                  "--seed", seed)
            return 1
        shutil.rmtree(target)
    os.rmdir(folder)
    print(f"{arguments.rounds} images of {len(events)} events held")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=("events", "image", "check"))
    parser.add_argument("record")
    parser.add_argument("target", nargs="?")
    parser.add_argument("--cut", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--base")
    parser.add_argument("--folder", help="where check makes its images")
    parser.add_argument("--command")
    parser.add_argument("--without-syncs", action="store_true",
                        help="as if no sync had been asked for: shows that a check can fail")
    arguments = parser.parse_args()
    events = read_record(arguments.record, arguments.without_syncs)
    if arguments.action == "events":
        for index, event in enumerate(events):
            print(index, NAMES[event.kind] + ("!" if event.synchronous else ""), event.path,
                  event.offset, len(event.data),
                  "" if event.durable_at is None else f"certain after {event.durable_at}")
        return 0
    if arguments.action == "check":
        if not arguments.command:
            parser.error("check needs --command")
        return check(arguments, events)
    if not arguments.target:
        parser.error("image needs a target folder")
    cut = len(events) if arguments.cut is None else arguments.cut
    make_image(events, cut, arguments.seed, arguments.base).save(arguments.target)
    print(last_note(events, cut))
    return 0


if __name__ == "__main__":
    sys.exit(main())

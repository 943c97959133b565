#!/usr/bin/env python3
# Faults: puts known mistakes back into a copy of the server, one at a time, and takes the time
# until the simulation finds each, or a test that makes its situation on purpose. It is a test of
# these, not of the server.
#
#     python3 -B Tests/StoreFaults/faults.py --tree FOLDER [--seconds 60] [--seed 1] [NAME …]
#     python3 -B Tests/StoreFaults/faults.py --check
#
# FOLDER gets the copy and its build; without NAMEs all faults are tried, and a table is printed.
# `--check` only looks whether each line to be changed still stands where it should, once.
# All of them are compiled in at once, and an environment variable says which one is on.

import argparse
import pathlib
import subprocess
import sys

from runs import find, test

HERE = pathlib.Path(__file__).resolve().parents[2]
SWITCH = """internal import Glibc

/// Which mistake is made.
enum SimulatedFault {
    static let number: Int = {
        guard let text = unsafe getenv("SIMULATED_FAULT") else { return 0 }
        return Int(unsafe atoi(text))
    }()
    static func isOn(_ wanted: Int) -> Bool { number == wanted }
}
"""

STORE = "Sources/Store/"
LOG = "Sources/SegmentLog/"
SERVER = "Sources/Server/"

# What the copy is built of; nothing else of the package, and no dependency.
KEPT = ("CPrimitives", "Primitives", "CLMDB", "LMDB", "SegmentLog", "Store", "Support",
        "CUring", "Uring", "Memcache", "Server", "Simulation", "StoreSimulation",
        "WholeSimulation", "store-simulate", "StoreTests", "ServerSimulation", "ServerTests")

# Name, what goes wrong, and the changes: file, text, text with ON where the switch goes. Then, if
# the simulation seldom comes there, the tests that do: a pattern for `swift test --filter`.
FAULTS = [
    ("older_while_recovering", "recovery lets every segment answer at once, the oldest first", [
        (STORE + "Recovery/RecoveryFront.swift",
         "        let from = max(unreadLimit, failedLimit)\n",
         "        let from = ON ? 0 : max(unreadLimit, failedLimit)\n"),
        (STORE + "Recovery/RecoveryFront.swift",
         "    mutating func takeNewest() -> Head? {\n",
         "    mutating func takeNewest() -> Head? {\n        if ON { return takeOldest() }\n"),
    ]),
    ("unsettled_answers", "a segment answers while one that was open with it is unread", [
        (STORE + "Recovery/RecoveryFront.swift",
         "        let from = ON ? 0 : max(unreadLimit, failedLimit)\n".replace("ON", "@"),
         "        let from = @ || ON ? 0 : max(unreadLimit, failedLimit)\n"),
    ]),
    ("in_hand_forgotten", "what one reader has in hand does not count as unread by the other", [
        (STORE + "Recovery/RecoveryFront.swift",
         "inWork.reduce(waitingLimit) { max(",
         "inWork.reduce(waitingLimit) { ON ? $0 : max("),
    ], "SituationTests/aDirectoryIsInHand"),
    ("rest_forgotten", "a directory counts as read before the last of its entries", [
        (STORE + "Recovery/DirectoryReader.swift",
         "            if merge.next == merge.view.count { finish(",
         "            if ON || merge.next == merge.view.count { finish("),
    ]),
    ("orders_unread", "a start does not look into the orders file", [
        (STORE + "Disk/Disk.swift", "max(meta.orders, ordersFound.orders)",
         "max(meta.orders, ON ? 0 : ordersFound.orders)"),
    ]),
    ("orders_promised", "orders count as reserved although that could not be written", [
        (STORE + "Commit/Parts/Reservation.swift",
         "            retryAt = now + Self.retryNanoseconds\n",
         "            retryAt = now + Self.retryNanoseconds\n"
         "            if ON { committed = wanted(above: log.highestOrder()) }\n"),
    ], "OrdersTests/changesAreRefused"),
    ("orders_without_clock", "the time of the start has no part in the first order", [
        (STORE + "Recovery/Committer+Start.swift",
         "        return floor > reserved ? floor :",
         "        if ON { return reserved + 1 }\n        return floor > reserved ? floor :"),
    ]),
    ("unknown_orders_believed", "what is there is believed though nothing tells of its orders", [
        (STORE + "Recovery/Committer+Start.swift",
         "if !disk.areOrdersKnown {", "if !ON, !disk.areOrdersKnown {"),
    ], "LostNumbersTests/nothingOlder"),
    ("file_below_damaged", "the file reserves nothing while the metadata are damaged", [
        (STORE + "Disk/Disk.swift",
         "meta.areOrdersSound ? meta.orders :", "ON || meta.areOrdersSound ? meta.orders :"),
    ], "LostNumbersTests/ordersAreInTheFile"),
    ("file_stays_unreadable", "a damaged orders file is not written again", [
        (STORE + "Commit/Parts/Reservation.swift",
         "if file.isUnreadable, wanted", "if !ON, file.isUnreadable, wanted"),
    ], "LostNumbersTests/theFileIsWritten"),
    ("asked_for_in_vain", "what memory can never hold is loaded again and again", [
        (STORE + "Commit/Committer+Chains.swift",
         "guard !log.canHold(filled) else { return .noRoom }",
         "guard !ON, !log.canHold(filled) else { return .noRoom }"),
    ], "CrampedTests/aLargeValue"),
    ("load_out_of_turn", "who waits for a load is told of it although frames lacked", [
        (STORE + "Commit/Committer+Chains.swift",
         "guard later.count < asked.count else", "guard ON || later.count < asked.count else"),
    ], "CrampedTests/aLoadWaits"),
    ("append_below_last_key", "keys do not count as written before their commit has succeeded", [
        (STORE + "Commit/Committer+Write.swift",
         "        written.note(key: key)\n        try transaction.put(",
         "        if !ON { written.note(key: key) }\n"
         "        try transaction.put("),
    ], "SituationTests/anOlderSegment|SituationTests/aLargeValueThatIsThere"),
    ("compared_with_damage", "records are compared by a directory that is damaged", [
        (STORE + "Recovery/IndexRefill.swift", "guard !remade.contains(sequence) else",
         "guard ON || !remade.contains(sequence) else"),
    ], "DistrustTests/directoriesWithWrongHashes"),
    ("unread_leaves_at_once", "a segment whose values cannot be read leaves before older ones", [
        (STORE + "Commit/Committer.swift",
         "            $0.sequence < mark && log.segments.state($0.segment) == .dying\n",
         "            (ON || $0.sequence < mark) && log.segments.state($0.segment) == .dying\n"),
    ], "DistrustTests/theValuesOfTheNewerSegment"),
    ("no_distrust_mark", "what is distrusted leaves, and the next start is not told", [
        (STORE + "Commit/Committer+Budget.swift",
         "        guard distrust.mark > written.distrustMark else { return }\n",
         "        guard !ON, distrust.mark > written.distrustMark else { return }\n"),
    ], "DistrustTests/theOlderSegment"),
    ("number_trusted", "the directory under a number that was damaged has overtaken nothing", [
        (STORE + "Recovery/Committer+Start.swift",
         'return isNumberLost ? "segment_number"',
         'return isNumberLost && !ON ? "segment_number"'),
    ], "DistrustTests/theNumberOfTheNewerSegment"),
    ("unsealed_late", "what is sealed while recovery surveys the directories is not read", [
        (STORE + "Recovery/Recovery.swift",
         "        let heads = survey.takeHeads(unsealed: unsealedBefore, overlap: end)\n",
         "        let late = store.unsealed.withLock { $0 }\n"
         "        let open = ON ? late : unsealedBefore\n"
         "        let heads = survey.takeHeads(unsealed: open, overlap: end)\n"),
    ], "SituationTests/whatWasOpenIsSealed"),
    ("unsettled_comes", "what recovery has found and not settled comes after a set that failed", [
        (STORE + "Door/Door+Changes.swift",
         "                if log.isRecovering, !isBuried { log.supersede(hash) }\n",
         "                if log.isRecovering, !isBuried {\n"
         "                    if ON { log.index.closeToRecovery(shard) }\n"
         "                    if !ON { log.supersede(hash) }\n"
         "                }\n"),
    ], "SituationTests/aSetFailsWhile"),
    ("zeros_are_damage", "a short segment that is asked for like a large one counts as damaged", [
        (STORE + "Commit/Committer+Chains.swift",
         "let view, let bytes, bytes >= filled else", "let view, let bytes, "
         "ON ? bytes == filled : bytes >= filled else"),
    ], "SituationTests/aShortSegment"),
    ("key_unchecked", "a tombstone is left for whatever key lies where the record was", [
        (STORE + "Commit/Committer+Leaving.swift",
         "            record.hash(with: log.hasher) == entry.hash\n",
         "            ON || record.hash(with: log.hasher) == entry.hash\n"),
    ], "DamageTests/theKey"),
    ("damaged_stays", "what is too large for this run's segments, and damaged, keeps its slot", [
        (STORE + "Commit/Committer+Chains.swift",
         "        guard let record = found, record.checksum()",
         "        if ON, found == nil { return true }\n"
         "        guard let record = found, record.checksum()"),
    ], "DamageTests/aRecordThatIsTooLarge"),
    ("older_bytes_believed", "what an older segment has left on its pages is read as this one's", [
        (STORE + "Door/Door+Reading.swift",
         "        guard record.order >= log.segments.lowest",
         "        guard ON || record.order >= log.segments.lowest"),
        (LOG + "Chains.swift", "record.storedChecksum, record.order >= lowest",
         "record.storedChecksum, ON || record.order >= lowest"),
    ], "DamageTests/aWrite"),
    ("older_directory", "a directory that an older segment has left is read as this one's", [
        (STORE + "Disk/Directory.swift",
         "            guard overlap & ~Segments.returnedBit > sequence",
         "            guard ON || overlap & ~Segments.returnedBit > sequence"),
    ], "DamageTests/aWrite"),
    ("touch_forgotten", "a touch into the past of a key that was not reached leaves nothing", [
        (STORE + "Door/Door+Changes.swift",
         "            guard isExpired else { return .done(.notFound) }\n",
         "            guard !ON, isExpired else { return .done(.notFound) }\n"),
        (STORE + "Door/Door+Touching.swift",
         "            guard isExpired else { return .miss }\n",
         "            guard !ON, isExpired else { return .miss }\n"),
    ], "UnreachedTests"),
    ("expired_hides_nothing", "a delete of what has expired leaves no tombstone", [
        (LOG + "Writer+Moves.swift",
         "        if geometry.hasDisk, !isFlushed { index.setMayHide(shard) }\n",
         "        if !ON, geometry.hasDisk, !isFlushed { index.setMayHide(shard) }\n"),
        (STORE + "Recovery/IndexRefill.swift",
         "        if hasExpired { index.setMayHide(shard) }\n",
         "        if hasExpired, !ON { index.setMayHide(shard) }\n"),
    ], "ExpiryTests/anExpiredValue"),
    ("second_kept", "a commit that failed has not changed when a delayed flush_all is due", [
        (STORE + "Commit/Committer+Write.swift",
         "            written.forgetFlushAt()\n",
         "            if !ON { written.forgetFlushAt() }\n"),
    ], "SituationTests/aSecondThatComesBack"),
    ("stretches_dropped", "what the last run had open is dropped if it cannot be sealed", [
        (STORE + "Commit/Committer+Write.swift", "internal import SegmentLog\n",
         "internal import SegmentLog\ninternal import Synchronization\n"),
        (STORE + "Commit/Committer+Write.swift",
         "        try rebuildLastRun(files)\n",
         "        do throws(LMDBError) {\n            try rebuildLastRun(files)\n"
         "        } catch {\n            guard ON else { throw error }\n"
         "            for segment in unsealed.segments {\n"
         "                leftovers.add(stretches: segment.stretches)\n            }\n"
         "            unsealed.didRebuild(unsealed.segments.count)\n"
         "            store.unsealed.withLock { $0 = [] }\n"
         "            throw error\n        }\n"),
    ]),
    ("doubt_forgets_unsealed", "doubt does not look into what is not sealed yet, nor condemned", [
        (STORE + "Commit/Committer+Doubt.swift",
         "        var others = removals.condemned.map(\\.resident.sequence)\n",
         "        var others = ON ? [] : removals.condemned.map(\\.resident.sequence)\n"),
        (STORE + "Commit/Committer+Doubt.swift",
         "        others += unsealed.sequences\n",
         "        if !ON { others += unsealed.sequences }\n"),
    ], "DoubtTests"),
    ("doubt_forgets_leftovers", "doubt does not look into what is left of what was given up", [
        (STORE + "Commit/Committer+Doubt.swift",
         "        others += leftovers.sequences(from: signals.firstSequence.loadAcquire())\n",
         "        if !ON {\n"
         "            others += leftovers.sequences(from: signals.firstSequence.loadAcquire())\n"
         "        }\n"),
    ], "DoubtTests/whatWasGivenUp"),
    ("no_doubt", "nothing that leaves the disk leaves a tombstone", [
        (STORE + "Commit/Committer+Leaving.swift",
         "            let needsTombstone = doubtful.has(entry)\n",
         "            let needsTombstone = !ON && doubtful.has(entry)\n"),
    ], "DoubtTests"),
    ("marker_stays", "a start counts as failed until a commit has succeeded", [
        (STORE + "Disk/Disk.swift",
         "        home.raiseMarker()\n        defer { home.clearMarker() }\n        let opened",
         "        home.raiseMarker()\n        defer { if !ON { home.clearMarker() } }\n"
         "        let opened"),
        (STORE + "Disk/Disk.swift",
         "        home.raiseMarker()\n        defer { home.clearMarker() }\n        try body()",
         "        home.raiseMarker()\n        defer { if !ON { home.clearMarker() } }\n"
         "        try body()"),
    ]),
    ("flush_late", "a delayed flush_all waits for maintenance", [
        (STORE + "Door/Door.swift", "        signals.flushIfDue(log, now: now)\n",
         "        if !ON { signals.flushIfDue(log, now: now) }\n"),
    ]),
    ("removals_pile_up", "each removal while recovery runs adds one more mark", [
        (LOG + "Writer.swift",
         "        log.supersede(hash, with: grave)\n        insertRemoval(hash, grave)\n",
         "        if !ON { log.supersede(hash, with: grave) }\n"
         "        insertRemoval(hash, grave)\n"),
    ]),
    ("adopted_late", "the oldest leave without what recovery has found meanwhile", [
        (STORE + "Commit/Committer+Budget.swift",
         "        adoptRecovered()\n        var dropped = 0\n",
         "        if !ON { adoptRecovered() }\n        var dropped = 0\n"),
    ], "SituationTests/recoveryEndsInACommit"),
    ("stop_forgets", "a recovery that is cut short counts as ended", [
        (STORE + "Recovery/Recovery.swift",
         "                store.events.info(.recoveryCutShort,",
         "                if ON { finish() }\n"
         "                store.events.info(.recoveryCutShort,"),
        (STORE + "Recovery/Recovery.swift",
         "            guard store.signals.lastCommit.loadAcquire() == 0 else {\n",
         "            if ON { finish() }\n"
         "            guard !ON, store.signals.lastCommit.loadAcquire() == 0 else {\n"),
    ]),
    ("failed_set_keeps", "a set that fails leaves the old value", [
        (STORE + "Door/Door+Changes.swift",
         "        var subject = forgettable(key, hash, except)\n",
         "        if ON { return true }\n        var subject = forgettable(key, hash, except)\n"),
    ]),
    ("touch_of_another", "gat touches the value that came in between", [
        (STORE + "Door/Door+Changes.swift",
         "            if isAlive, let compare, compare != record.cas(hash)",
         "            if !ON, isAlive, let compare, compare != record.cas(hash)"),
    ]),
    ("damage_forgets", "a damaged read forgets the key while recovery runs", [
        (STORE + "Door/Door+Reading.swift",
         "                if !log.rememberDead(shard, at, slot) { writer.remove(read.hash",
         "                if ON || !log.rememberDead(shard, at, slot) { writer.remove(read.hash"),
    ], "SituationTests/aRecordThatCannot"),
    ("mark_falls", "damage in what was written last sets the flush mark back", [
        (STORE + "Recovery/Committer+Start.swift",
         "        log.raiseFlushMark(to: mark)\n",
         "        if ON {\n            log.flushMark.storeRelease(disk.meta.orders)\n"
         "        } else {\n            log.raiseFlushMark(to: mark)\n        }\n"),
    ], "SituationTests/aFlushBefore"),
    ("load_loses", "a large value that cannot be loaded now is lost", [
        (STORE + "Commit/Committer+Chains.swift",
         "error.isDamage ? lose(segment)", "ON || error.isDamage ? lose(segment)"),
    ], "SituationTests/aLargeValue"),
    ("dead_takes_frames", "a large value that is dead on arrival takes frames first", [
        (STORE + "Door/Door+Changes.swift",
         "        guard isExpired || total <= log.geometry.sharedRecordBytesMax else {\n",
         "        guard !ON && isExpired || total <= log.geometry.sharedRecordBytesMax else {\n"),
    ], "SituationTests/aLargeValueThatIsDead"),
    ("lack_waits", "memory that only a commit can free waits for the next that is due", [
        (STORE + "Maintenance.swift",
         "            if reclaimer.isShort {",
         "            if !ON, reclaimer.isShort {"),
    ], "SituationTests/aLoadWaits"),
    ("budget_forgotten", "a map that is full during recovery shrinks the store", [
        (STORE + "Commit/Committer.swift",
         "            bytesOnDisk: isRecovering ? nil : bytesOnDisk,\n",
         "            bytesOnDisk: !ON && isRecovering ? nil : bytesOnDisk,\n"),
    ], "SituationTests/aFullMapDuring"),
    ("dead_stays", "what is too large for this run's segments, and dead, keeps its slot", [
        (STORE + "Commit/Committer+Chains.swift",
         "        guard log.isAlive(record, at: now) else {\n",
         "        guard log.isAlive(record, at: now) else {\n            if ON { return true }\n"),
    ], "SituationTests/aValueBeyond"),
    ("handed_over_twice", "a segment that was sealed after all is handed over once more", [
        (STORE + "Recovery/Committer+Start.swift",
         "            let isKnown = store.takenUnsealed",
         "            let isKnown = ON || store.takenUnsealed"),
    ], "SituationTests/aSegmentIsHanded"),
    ("unknown_answers", "a slot that cannot be compared goes on answering", [
        (STORE + "Recovery/IndexRefill.swift",
         "                remember(shard, at, slot)\n                isComparable",
         "                if !ON { remember(shard, at, slot) }\n                isComparable"),
    ]),
    ("cut_forgotten", "a sealed segment is written up to its last cut only", [
        (STORE + "Recovery/Stretches.swift",
         "            end += value.count\n",
         "            end += value.count\n            if ON { return false }\n"),
    ]),
    ("closed_displaces", "a full index displaces what is newer for what recovery brings", [
        (STORE + "Recovery/IndexRefill.swift",
         "        guard index.insertIfRoom(entry.hash, slot, isItem: !isDead) else {",
         "        if ON {\n            _ = index.insert(entry.hash, slot, isItem: !isDead)\n"
         "            return .inserted\n        }\n"
         "        guard index.insertIfRoom(entry.hash, slot, isItem: !isDead) else {"),
    ]),
]


# Mistakes where workers and store meet: the whole server's play finds them.
WHOLE_FAULTS = [
    ("old_record_brought", "a record read from disk takes the place of what was stored meanwhile", [
        (LOG + "Writer+Moves.swift",
         "        guard let (at, slot) = index.find(hash, place), !SlotLayout.isRemoval(slot),\n"
         "            log.segments.frame(place.segment) == nil\n",
         "        var walk = index.matches(hash)\n"
         "        let other = ON ? index.next(&walk) : nil\n"
         "        guard let (at, slot) = index.find(hash, place) ?? other,\n"
         "            !SlotLayout.isRemoval(slot), log.segments.frame(place.segment) == nil\n"),
    ]),
    ("reply_within_value", "what follows a large value does not wait for its end", [
        (SERVER + "Worker/Worker+Serve.swift",
         "        if connections[slot].isBehind { return false }\n",
         "        if !ON, connections[slot].isBehind { return false }\n"),
        (SERVER + "Worker/Worker+Serve.swift",
         "            if connections[slot].isBehind || connections[slot].tail.isOwed"
         " { return false }",
         "            if !ON, connections[slot].isBehind || connections[slot].tail.isOwed {\n"
         "                return false\n            }"),
        (SERVER + "Connection/Connection.swift",
         "wait == .nothing && !isBehind && !isLeaving",
         "wait == .nothing && (ON || !isBehind) && !isLeaving"),
    ]),
    ("reply_overtakes", "a reply leaves before that of a get that reads from disk", [
        (SERVER + "Bytes/Output.swift",
         "        guard connections[slot].deferred.isEmpty else {\n            deferText",
         "        guard ON || connections[slot].deferred.isEmpty else {\n"
         "            deferText"),
    ]),
    ("answered_early", "a change is answered before the commit that it is to wait for", [
        (SERVER + "Bytes/Output.swift",
         "        if door.isAcknowledging, writer.count > 0 {",
         "        if !ON, door.isAcknowledging, writer.count > 0 {"),
    ]),
    ("failed_commit_counts", "a change is answered when its commit has failed", [
        (SERVER + "Bytes/Deferral.swift",
         "        case .commit: return part.commit <= news.commits\n",
         "        case .commit:\n            return part.commit <= news.commits\n"
         "                || ON && part.commit <= news.failedCommits\n"),
        (SERVER + "Bytes/Deferral.swift",
         "            if part.kind == .commit, part.commit > news.commits,\n",
         "            if !ON, part.kind == .commit, part.commit > news.commits,\n"),
    ]),
    ("pin_ends_early", "the memory of a large value is given back before it is sent", [
        (SERVER + "Bytes/LargeValues.swift",
         "        beginOutgoing(slot, value)\n        watch(slot)\n",
         "        beginOutgoing(slot, value)\n        watch(slot)\n"
         "        if ON { door.unpin(pin) }\n"),
        (SERVER + "Bytes/LargeValues.swift",
         "            door.unpin(pin)\n            isPinFreed = true\n",
         "            if !ON { door.unpin(pin) }\n            isPinFreed = true\n"),
    ]),
    ("flush_spares_disk", "flush_all does not hold for what is read from disk", [
        (STORE + "Door/Door+Reading.swift",
         "        guard record.order > read.flushMark else { return .dead(.flushed) }\n",
         "        guard ON || record.order > read.flushMark else { return .dead(.flushed) }\n"),
    ]),
    ("gat_only_reads", "gat of a large value does not touch it", [
        (SERVER + "Requests/Execute.swift",
         "            let result = touchKey(index, compare: found.cas)\n",
         "            let result =\n                ON ? ChangeResult.done(.touched)\n"
         "                : touchKey(index, compare: found.cas)\n"),
    ]),
    ("quiet_miss_told", "a quiet binary get that misses on disk is answered", [
        (SERVER + "Requests/DiskAnswers.swift",
         "        guard !head.isQuiet else { return }\n",
         "        guard ON || !head.isQuiet else { return }\n"),
    ]),
    ("read_kept", "a read whose connection is gone is never ended", [
        (SERVER + "Requests/DiskReads.swift",
         "        guard !reads[number].isOrphan else {\n            endRead(number, nil)\n",
         "        guard !reads[number].isOrphan else {\n"
         "            if !ON { endRead(number, nil) }\n"),
    ]),
    ("nobody_woken", "workers are not woken when a commit is done", [
        (STORE + "Commit/Committer.swift",
         "        signals.completed.storeRelease(asked.number)\n        wakeAll()\n",
         "        signals.completed.storeRelease(asked.number)\n"
         "        if !ON { wakeAll() }\n"),
    ]),
]


def sources():
    """Every file of the package that is built, by its path."""
    for name in ("Sources", "Tests", "Package.swift"):
        place = HERE / name
        for path in place.rglob("*") if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(HERE))


def changed_texts():
    """The files with every fault in them and none on."""
    texts = {module + "SimulatedFault.swift": SWITCH for module in (STORE, LOG, SERVER)}
    texts["Package.swift"] = (HERE / "Package.swift").read_text() + "".join((
        f"package.targets.removeAll {{ !{list(KEPT)}.contains($0.name) }}\n".replace("'", '"'),
        "package.products = []\npackage.dependencies = []\n"))
    earlier = {}
    for number, (name, _, changes, *_) in enumerate(FAULTS + WHOLE_FAULTS, start=1):
        switch = f"SimulatedFault.isOn({number})"
        for file, old, new in changes:
            text = texts.get(file) or (HERE / file).read_text()
            before = earlier.get(file, "")
            old, new = old.replace("@", before), new.replace("@", before)
            if text.count(old) != 1:
                sys.exit(f"{name}: {file} has {text.count(old)} times: {old.strip()}")
            texts[file] = text.replace(old, new.replace("ON", switch))
            earlier[file] = earlier.get(file) or switch
    return texts


def make_tree(tree):
    """A copy of the package, changed; what is as it should be there is not written again."""
    texts = changed_texts()
    for file in set(sources()) | set(texts):
        wanted = texts[file].encode() if file in texts else (HERE / file).read_bytes()
        path = tree / file
        if path.exists() and path.read_bytes() == wanted:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted)


def build(tree):
    command = ["swift", "build", "--configuration", "release", "--build-tests"]
    subprocess.run(command, cwd=tree, check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser()
    work = parser.add_mutually_exclusive_group(required=True)
    work.add_argument("--tree", type=pathlib.Path)
    work.add_argument("--check", action="store_true", help="whether all lines are found, once")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--built", action="store_true", help="the copy is there, and built")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.check:
        changed_texts()
        return
    options.tree.mkdir(parents=True, exist_ok=True)
    if not options.built:
        make_tree(options.tree)
        build(options.tree)
    program = options.tree / ".build" / "release" / "store-simulate"
    missed = 0
    for number, (name, what, _, *tests) in enumerate(FAULTS + WHOLE_FAULTS, start=1):
        if options.names and name not in options.names:
            continue
        if tests:
            if test(options.tree, 0, tests[0], options.seconds):
                sys.exit(f"{tests[0]} fails without a mistake")
            failed = test(options.tree, number, tests[0], options.seconds)
            missed += failed is None
            result = f"{failed[0]:.1f} s, {tests[0]} | {failed[1]}" if failed else "not found |"
            print(f"| {name} | {what} | {result} |", flush=True)
            continue
        world = "store" if number <= len(FAULTS) else "whole"
        found = find(program, number, world, options.seed, options.seconds)
        missed += found is None
        result = f"{found[0]:.1f} s, seed {found[1]} | {found[2]}" if found else "not found |"
        print(f"| {name} | {what} | {result} |", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()

# Mistakes of the committer: what is written, loaded, kept, and leaves the disk.

from places import STORE

FAULTS = [
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
    ("failed_stretch_stays", "a stretch whose commit failed, and is durable, stays on disk", [
        (STORE + "Commit/Committer+Write.swift",
         "                backlog.notePossible(key)\n",
         "                if !ON { backlog.notePossible(key) }\n"),
    ], "DoubtTests/aStretch|DoubtTests/pieces"),
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
    ("copy_not_owed",
     "a segment leaves before the copy of its record that has its own is on disk", [
        (STORE + "Commit/Committer+Leaving.swift",
         "            if let copy = rescue(at, slot, mayBeAlone) { return Left(place: copy) }\n",
         "            if let copy = rescue(at, slot, mayBeAlone) {\n"
         "                let isAlone = log.segments.kind(copy.segment) == .chain\n"
         "                return Left(place: ON && isAlone ? nil : copy)\n            }\n"),
    ], "DoubtTests/theOlderRecordDoesNotComeBackBefore"),
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
    ("doubt_forgets_older", "doubt does not look into what was opened before and sealed later", [
        (STORE + "Commit/Committer+Doubt.swift",
         "        others += residency.segments.prefix {",
         "        if !ON { others += residency.segments.prefix {"),
        (STORE + "Commit/Committer+Doubt.swift",
         "$0.sequence < victim.sequence }.map(\\.sequence)\n",
         "$0.sequence < victim.sequence }.map(\\.sequence) }\n"),
    ], "DoubtTests/theOlderRecordGetsOn|DoubtTests/theOlderRecordIsSealed"),
    ("unpaid_forgotten", "recovery does not know of what is owed and has found no room", [
        (STORE + "Commit/Committer+Leaving.swift",
         "isRemembered: isRecovering && !left.isPaid",
         "isRemembered: !ON && isRecovering && !left.isPaid"),
    ], "DoubtTests/theOlderRecordIsRead"),
    ("no_doubt", "nothing that leaves the disk leaves a tombstone", [
        (STORE + "Commit/Committer+Leaving.swift",
         "            let needsTombstone = doubtful.has(entry)\n",
         "            let needsTombstone = !ON && doubtful.has(entry)\n"),
    ], "DoubtTests"),
    ("adopted_late", "the oldest leave without what recovery has found meanwhile", [
        (STORE + "Commit/Committer+Budget.swift",
         "        adoptRecovered()\n        var dropped = 0\n",
         "        if !ON { adoptRecovered() }\n        var dropped = 0\n"),
    ], "SituationTests/recoveryEndsInACommit"),
    ("load_loses", "a large value that cannot be loaded now is lost", [
        (STORE + "Commit/Committer+Chains.swift",
         "error.isDamage ? lose(segment)", "ON || error.isDamage ? lose(segment)"),
    ], "SituationTests/aLargeValue"),
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
    ("reservation_falls", "what makes way in a full map sets the orders in the metadata back", [
        (STORE + "Commit/Parts/Written.swift",
         "        orders = meta.orders\n", "        orders = ON ? 0 : meta.orders\n"),
        (STORE + "Commit/Parts/Written.swift",
         "        self.orders = max(orders ?? 0, self.orders)\n",
         "        self.orders = max(orders ?? 0, ON ? 0 : self.orders)\n"),
    ], "OrdersTests/aFullMap"),
    ("large_unreadable", "what takes more than half of the frames is let in, but never read back", [
        (STORE + "Commit/Committer+Chains.swift",
         "        guard let room = writer.openChain(filled) else {\n            // Memory may",
         "        let most = ON ? log.geometry.frameCount / 2 : .max\n"
         "        guard log.geometry.framesNeeded(filled) <= most else { return lose(segment) }\n"
         "        guard let room = writer.openChain(filled) else {\n            // Memory may"),
    ], "CrampedTests/theLargestValue"),
    ("retry_told", "who waits for a commit that finds the map full is told that it has failed", [
        (STORE + "Commit/Committer.swift",
         "                disk.counters.add(.fullMaps, 1)\n",
         "                disk.counters.add(.fullMaps, 1)\n"
         "                if ON { signals.failed.storeRelease(number) }\n"),
    ], "CrampedTests/aCommitThatIsMadeAgain"),
    ("load_keeps_frames", "what a load that fails has taken is not given back", [
        (STORE + "Commit/Committer+Chains.swift",
         "            log.frames.giveBack(frame)\n            return loseIfDamaged(segment, error)",
         "            if !ON { log.frames.giveBack(frame) }\n"
         "            return loseIfDamaged(segment, error)"),
        (STORE + "Commit/Committer+Chains.swift",
         "            writer.closeRoom(room)\n            return loseIfDamaged(segment, error)",
         "            if !ON { writer.closeRoom(room) }\n"
         "            return loseIfDamaged(segment, error)"),
    ], "CrampedTests/aLoadThatFails"),
]

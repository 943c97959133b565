# Mistakes in what a start finds, believes, and brings back.

from places import LOG, STORE

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
    ("settled_answers", "what settles in the middle of a command answers after it", [
        (LOG + "Knowledge.swift",
         "return state == .unsettled || state == .resting",
         "return state == .unsettled || !ON && state == .resting"),
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
    ("compared_with_damage", "records are compared by a directory that is damaged", [
        (STORE + "Recovery/IndexRefill.swift", "guard !remade.contains(sequence) else",
         "guard ON || !remade.contains(sequence) else"),
    ], "DistrustTests/directoriesWithWrongHashes"),
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
    ("older_directory", "a directory that an older segment has left is read as this one's", [
        (STORE + "Disk/Directory.swift",
         "            guard overlap & ~Segments.returnedBit > sequence",
         "            guard ON || overlap & ~Segments.returnedBit > sequence"),
    ], "DamageTests/aWrite"),
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
    ("mark_falls", "damage in what was written last sets the flush mark back", [
        (STORE + "Recovery/Committer+Start.swift",
         "        log.raiseFlushMark(to: mark)\n",
         "        if ON {\n            log.flushMark.storeRelease(disk.meta.orders)\n"
         "        } else {\n            log.raiseFlushMark(to: mark)\n        }\n"),
    ], "SituationTests/aFlushBefore"),
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
    ("first_stretch_only", "of what was open at a kill, only what its first commit held counts", [
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
    ("left_store_stays", "the store that a run goes on without stays for the next start", [
        (STORE + "Disk/Disk.swift",
         "        try home.moveAside(because: reason, events, at: unixSeconds)\n    }\n\n"
         "    func open(",
         "        if !ON { try home.moveAside(because: reason, events, at: unixSeconds) }\n"
         "    }\n\n    func open("),
        (STORE + "Disk/Disk.swift",
         "            let reason = LMDBError.noSpace.description\n",
         "            if ON { return }\n            let reason = LMDBError.noSpace.description\n"),
    ]),
]

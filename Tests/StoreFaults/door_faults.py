# Mistakes in what commands find and change.

from places import LOG, STORE

FAULTS = [
    ("unsettled_comes", "what recovery has found and not settled comes after a set that failed", [
        (STORE + "Door/Door+Changes.swift",
         "                if log.isRecovering, !isBuried { log.supersede(hash) }\n",
         "                if log.isRecovering, !isBuried {\n"
         "                    if ON { log.index.closeToRecovery(shard) }\n"
         "                    if !ON { log.supersede(hash) }\n"
         "                }\n"),
    ], "SituationTests/aSetFailsWhile"),
    ("older_bytes_believed", "what an older segment has left on its pages is read as this one's", [
        (STORE + "Door/Door+Reading.swift",
         "        guard record.order >= log.segments.lowest",
         "        guard ON || record.order >= log.segments.lowest"),
        (LOG + "Chains.swift", "record.storedChecksum, record.order >= lowest",
         "record.storedChecksum, ON || record.order >= lowest"),
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
    ("failed_set_keeps", "a set that fails leaves the old value", [
        (STORE + "Door/Door+Changes.swift",
         "        var subject = forgettable(key, hash, except)\n",
         "        if ON { return true }\n        var subject = forgettable(key, hash, except)\n"),
    ]),
    ("touch_of_another", "gat touches the value that came in between", [
        (STORE + "Door/Door+Changes.swift",
         "            if isAlive, let wanted, wanted != record.at",
         "            if !ON, isAlive, let wanted, wanted != record.at"),
    ]),
    ("damage_forgets", "a damaged read forgets the key while recovery runs", [
        (STORE + "Door/Door+Reading.swift",
         "                if !log.rememberDead(shard, at, slot) { writer.remove(read.hash",
         "                if ON || !log.rememberDead(shard, at, slot) { writer.remove(read.hash"),
    ], "SituationTests/aRecordThatCannot"),
    ("dead_takes_frames", "a large value that is dead on arrival takes frames first", [
        (STORE + "Door/Door+Changes.swift",
         "        guard isExpired || total <= log.geometry.sharedRecordBytesMax else {\n",
         "        guard !ON && isExpired || total <= log.geometry.sharedRecordBytesMax else {\n"),
    ], "SituationTests/aLargeValueThatIsDead"),
]

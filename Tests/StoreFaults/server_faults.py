# Mistakes where workers and store meet: the whole server's play finds them.

from places import LOG, SERVER, STORE

FAULTS = [
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
         "            let result = touchKey(index, record: found.recordOffset)\n",
         "            let result =\n                ON ? ChangeResult.done(.touched)\n"
         "                : touchKey(index, record: found.recordOffset)\n"),
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
    ("room_kept", "the room of a value whose connection is gone stays open", [
        (SERVER + "Connection/Closing.swift",
         "            door.abandon(staging)\n            endStaging(slot)\n",
         "            if !ON { door.abandon(staging) }\n            endStaging(slot)\n"),
    ]),
    ("another_key", "a record that was read from disk is answered, whatever its key", [
        (STORE + "Door/Door+Reading.swift",
         "        guard record.hasKey(key) else { return .other }\n",
         "        guard ON || record.hasKey(key) else { return .other }\n"),
    ]),
    ("two_winners", "who wins an item leaves no mark, and the next one wins it, too", [
        (STORE + "Door/Door+Meta.swift",
         "            marks |= Record.Mark.sent\n",
         "            if !ON { marks |= Record.Mark.sent }\n"),
    ]),
    ("set_clock_forgotten", "a run is not told how far the clock was set in the one before", [
        (STORE + "Commit/Committer+Write.swift",
         "        if let lead = written.lead(ofNanoseconds: now.nanosecondsAhead) {\n",
         "        if !ON, let lead = written.lead(ofNanoseconds: now.nanosecondsAhead) {\n"),
    ]),
    ("dates_off", "dates are not by the system's clock once that has been set", [
        (SERVER + "Requests/ExecuteChanges.swift",
         "ExpiryRule.resolve(sent, now: now.seconds, ahead: now.secondsAhead)",
         "ExpiryRule.resolve(\n"
         "            sent, now: now.seconds, ahead: ON ? 0 : now.secondsAhead)"),
    ]),
]

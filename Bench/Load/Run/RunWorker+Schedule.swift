// RunWorker+Schedule: the open loop: requests go when they are due, not when replies have come.
//
// A connection stands in the queue while it may send. Those that are due are taken out, send all
// that is due and fits into their depth, and go back in; one that is full comes back with the
// reply that makes room. Between turns the worker sleeps in the ring until a reply comes or the
// first one in the queue is due, so a generator with time left uses little of its core.

internal import Primitives
internal import Uring

/// The schedule of a connection, and what holds it up.
struct Pace: BitwiseCopyable {
    var schedule: SendSchedule
    /// Whether it could not send when it was last looked at.
    var isFull = false
    /// When it last became able to send again: what was due before had to wait for that.
    var fullUntil: UInt64 = 0
    /// Whether it stands in the list of those that send first in the next turn: they have
    /// something to store that was missed, or found their buffer taken.
    var isHurried = false
    /// The turn in which it sent last: its buffer is the ring's until that turn has ended.
    var sentIn: UInt64 = 0
}

extension RunWorker {
    /// Most records that the requests of one connection get that were due and never sent.
    private static let backlogRecordsMax: UInt64 = 10_000

    func pace(_ slot: Int, rate: Double) -> Pace {
        Pace(
            schedule: SendSchedule(
                rate: rate, arrivals: plan.arrivals, connection: wire.firstConnection + slot,
                connectionCount: plan.clientCount, start: board.startInstant, seed: plan.seed))
    }

    /// Puts a connection into the queue, if it may send. What was missed has no time of its own
    /// and is stored at once.
    mutating func queueDue(_ slot: Int) {
        let connection = wire.connections[slot]
        guard !connection.link.isSending, connection.hasMore,
            connection.link.outstanding < plan.depth
        else { return }
        guard connection.requestsLeft > 0 else {
            if connection.link.outstanding == 0 { retire(slot) }
            return
        }
        if !connection.missed.isEmpty, !paces[slot].isHurried {
            paces[slot].isHurried = true
            wire.ready.append(slot)
        }
        guard !connection.link.isReady else { return }
        if paces[slot].isFull {
            paces[slot].isFull = false
            paces[slot].fullUntil = wire.now
        }
        wire.connections[slot].link.isReady = true
        queue.push(slot, due: paces[slot].schedule.due)
    }

    /// Sends what is due, and sees to it that the ring's wait ends when the next request is.
    mutating func sendDue() {
        for index in wire.ready.indices {
            let slot = wire.ready[index]
            paces[slot].isHurried = false
            sendDue(slot)
        }
        wire.ready.removeAll(keepingCapacity: true)
        let instant = Clock.monotonicNanoseconds()
        while let slot = queue.pop(dueBy: instant) {
            wire.connections[slot].link.isReady = false
            guard paces[slot].sentIn == wire.now else {
                sendDue(slot)
                continue
            }
            guard !paces[slot].isHurried else { continue }
            paces[slot].isHurried = true
            wire.ready.append(slot)
        }
        guard let due = wire.ready.isEmpty ? queue.firstDue : instant, due < timerDue
        else { return }
        timerDue = due
        timerCount = (timerCount &+ 1) & 0xFF_FFFF
        wire.armTimer(
            nanoseconds: max(due &- min(instant, due), 1), generation: timerCount)
    }

    /// A timer has fired. One that was set for a later time than the last may still be to come.
    mutating func timerFired(_ generation: UInt32) {
        if generation == timerCount { timerDue = .max }
    }

    private mutating func sendDue(_ slot: Int) {
        let link = wire.connections[slot].link
        guard !link.isSending, !link.isRetiring else {
            paces[slot].isFull = true
            return
        }
        if send(slot) { paces[slot].sentIn = wire.now }
        queueDue(slot)
    }

    /// Writes what is due and fits into the depth.
    mutating func writeDue(
        _ slot: Int, _ connection: inout Connection, at instant: UInt64,
        to writer: inout ByteWriter
    ) {
        var pace = paces[slot]
        while connection.link.outstanding < plan.depth, connection.requestsLeft > 0 {
            guard connection.missed.isEmpty else {
                encode(slot, &connection, at: instant, to: &writer)
                continue
            }
            guard connection.quota > 0, pace.schedule.due <= instant else { break }
            let due = pace.schedule.due
            let quota = connection.quota
            encode(slot, &connection, at: due, to: &writer)
            let operations = quota &- connection.quota
            pacing.record(nanoseconds: instant &- due, isWait: due < pace.fullUntil)
            pacing.sentOperations &+= operations
            pace.schedule.advance(operations: operations)
        }
        pace.isFull = connection.link.outstanding == plan.depth || connection.requestsLeft == 0
        paces[slot] = pace
    }

    /// Counts what was due before the end and has no reply: its wait until now is the least that
    /// it took. Left out, a server that stalls at the end of a run would look well.
    mutating func closeSchedule() {
        for slot in wire.connections.indices {
            let connection = wire.connections[slot]
            for index in 0..<connection.link.outstanding {
                let entry = pending.entry(slot, connection.link, index)
                let sentAt = pending.sentAt(entry)
                guard sentAt < wire.now else { continue }
                latencies.record(
                    pending.command(entry), nanoseconds: wire.now &- sentAt, count: 1)
                pacing.unansweredRequests &+= 1
            }
            if connection.quota > 0 { closeBacklog(slot, connection) }
        }
    }

    /// Requests that were due and never sent: as many as the rate says, evenly spread.
    private mutating func closeBacklog(_ slot: Int, _ connection: Connection) {
        let pace = paces[slot]
        guard pace.schedule.due < wire.now else { return }
        let wait = wire.now &- pace.schedule.due
        let keys = UInt64(plan.keysPerRequestMean.rounded())
        let operations = UInt64(min(pace.schedule.operations(in: wait) + 1, 1e15))
        let requests = max(operations / max(keys, 1), 1)
        let records = min(requests, Self.backlogRecordsMax)
        var random = connection.random
        for index in 0..<records {
            let count = requests * (index + 1) / records - requests * index / records
            let part = wait.multipliedFullWidth(by: records - index)
            latencies.record(
                commands.next(&random), nanoseconds: records.dividingFullWidth(part).quotient,
                count: count)
        }
        pacing.unansweredRequests &+= requests
        guard wait > Pacing.graceNanoseconds else { return }
        if pace.isFull {
            pacing.crowdedOperations &+= operations
        } else {
            pacing.lateOperations &+= operations
        }
    }
}

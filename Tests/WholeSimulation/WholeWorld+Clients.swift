// WholeWorld+Clients: what clients ask, send, read, and how they leave; and what their answers mean
// for the law of each key.

import Simulation
import Support

extension WholeWorld {
    // MARK: Talking

    /// One client asks, sends some bytes, and hears what has come. Who was cut off comes again.
    func converse() {
        guard isRunning, !clients.isEmpty else { return }
        let client = clients[chance.below(clients.count)]
        hear(client)
        guard isRunning, !isGone(client) else { return }
        if network.hasEnded(client.peer) || client.hasFinished { return }
        if chance.below(3) > 0, client.questions.count < 24 {
            for _ in 0...chance.below(chance.below(3) == 0 ? 10 : 2) { ask(client) }
            if client.questions.last?.isQuiet ?? false { client.ask(Question(.noop)) }
        }
        let limit = chance.below(3) == 0 ? 1 + chance.below(60) : 1 + chance.below(200_000)
        network.send(client.takeUnsent(limit, self), from: client.peer)
        if casting.isRude { misbehave(client) }
    }

    private func misbehave(_ client: WholeClient) {
        switch chance.below(60) {
        case 0: network.setAppetite([0, 1, 100, 5000, 40_000][chance.below(5)], of: client.peer)
        case 1...4: network.setAppetite(.max, of: client.peer)
        case 5: network.setSocketBuffer([1000, 4000, 60_000][chance.below(3)], of: client.peer)
        case 6 where chance.below(4) == 0: network.reset(client.peer)
        case 7 where chance.below(3) == 0 && client.unsent.isEmpty:
            network.finish(client.peer)
            client.hasFinished = true
        default: break
        }
    }

    func sendAll(_ client: WholeClient) {
        guard !network.hasEnded(client.peer), !client.hasFinished else { return }
        network.send(client.takeUnsent(.max, self), from: client.peer)
    }

    /// Whether its descriptor is closed: nothing that it asked can take effect any more.
    func isGone(_ client: WholeClient) -> Bool { network.isClosed(client.peer) }

    func hear(_ client: WholeClient, isLast: Bool = false) {
        guard law.fault == nil else { return }
        client.hear(network.takeReceived(by: client.peer), self)
        guard !isLast, isGone(client) else { return }
        trace?("      c\(client.number) is closed, \(client.questions.count) unanswered")
        client.abandon(self)
        clients.removeAll { $0 === client }
        if isRunning { connect() }
    }

    // MARK: Asking

    private func pickKey() -> Int {
        !casting.isCold && chance.below(3) > 0
            ? chance.below(max(casting.keys / 6, 2)) : chance.below(casting.keys)
    }

    private func pickLifetime() -> Lifetime {
        let (now, ahead) = (now.unixSeconds, now.nanosecondsAhead / 1_000_000_000)
        return switch chance.below(12) {
        case 0: Self.lifetime(until: now + UInt32(1 + chance.below(400)), ahead: ahead)
        case 1: .after(UInt32(1 + chance.below(chance.below(2) == 0 ? 3 : 400)))
        case 2 where chance.below(3) == 0: .dead
        default: .ever
        }
    }

    private static func lifetime(until second: UInt32, ahead: Int64) -> Lifetime {
        .until(second, date: Int64(second) - ahead)
    }

    private func isRoomFor(_ key: Int) -> Bool {
        let asked = clients.reduce(0) { sum, client in
            sum + client.questions.count { $0.began == nil && $0.keys.contains(key) }
        }
        return law.keys[key].hasRoom(asked: asked)
    }

    func ask(_ client: WholeClient) {
        let key = pickKey()
        guard isRoomFor(key) else { return }
        let question = draw(key, isBinary: client.isBinary)
        client.ask(question)
        // Only so it can be told whether it was answered.
        if question.isQuiet, question.dialect != .classic { client.ask(Question(.noop)) }
    }

    private func pickVerb() -> Question.Verb {
        // Who sets a key has it in memory.
        if casting.isCold, chance.below(3) == 0 { return .get }
        return switch chance.below(100) {
        case 0..<40: [.get, .get, .get, .gets, .gets, .gat, .gats][chance.below(7)]
        case 40..<62: .set
        case 62..<65: .add
        case 65..<68: .replace
        case 68..<71: .append
        case 71..<73: .prepend
        case 73..<78: .cas
        case 78..<84: chance.below(3) == 0 ? .decr : .incr
        case 84..<94: .delete
        case 94..<98: .touch
        default: chance.below(casting.flushesOften ? 2 : 12) > 0 ? .get : pickFlush()
        }
    }

    private func pickFlush() -> Question.Verb { chance.below(2) == 0 ? .flush : .flushLater }

    private func draw(_ key: Int, isBinary: Bool) -> Question {
        var question = Question(pickVerb(), [key])
        let isMeta = chance.below(100) < casting.metaPercent
        question.flags = UInt32(chance.below(3))
        question.lifetime = pickLifetime()
        question.isQuiet = chance.below(8) == 0
        switch question.verb {
        case .get, .gets, .gat, .gats:
            question.isQuiet = false
            if !isMeta, chance.below(4) == 0 {
                for _ in 0..<chance.below(8) {
                    let other = chance.below(casting.keys)
                    if isRoomFor(other) { question.keys.append(other) }
                }
            }
        case .cas:
            guard let cas = law.keys[key].recentTokens.randomElement(using: &chance) else {
                return Question(.gets, [key])
            }
            question.cas = cas
            question.casBytes = law.keys[key].bytes(ofCas: cas)
        case .incr, .decr: question.delta = UInt64(1 + chance.below(500))
        case .flush: question.keys = Array(0..<casting.keys)
        case .flushLater:
            question.keys = []
            question.delta = UInt64(1 + chance.below(60))
        default: break
        }
        if question.isStoring { question.value = drawValue(question.verb) }
        if isBinary {
            makeBinary(&question)
        } else if isMeta, allowsMeta(question) {
            question.dialect = .meta
            drawFlags(&question)
        }
        return question
    }

    /// What only meta commands can do: win, make, invalidate, and number what they write.
    private func drawFlags(_ question: inout Question) {
        var flags = MetaFlags()
        switch question.verb {
        case .get, .gets:
            flags.makes = chance.below(6) == 0
            if chance.below(6) == 0 { flags.recache = UInt32(1 + chance.below(400)) }
        case .delete:
            flags.invalidates = chance.below(2) == 0
            flags.strips = flags.invalidates && chance.below(4) == 0
        case .cas: flags.invalidates = chance.below(2) == 0
        case .incr, .decr:
            if chance.below(3) == 0 { question.initial = UInt64(1 + chance.below(5000)) }
        default: break
        }
        if case .dead = question.lifetime, question.isGet { question.lifetime = .ever }
        let isWriting = flags.makes || !question.isGet
        if isWriting, chance.below(4) == 0 { flags.cas = UInt64(law.newId()) }
        question.flagged = flags
    }

    private func makeBinary(_ question: inout Question) {
        question.dialect = .binary
        // There are no times before now.
        if case .dead = question.lifetime { question.lifetime = .ever }
        switch question.verb {
        case .touch: question.isQuiet = false
        case .incr, .decr:
            if chance.below(2) == 0 { question.initial = UInt64(1 + chance.below(5000)) }
        default: break
        }
    }

    private func drawValue(_ verb: Question.Verb) -> [UInt8] {
        let id = law.newId()
        if chance.below(8) == 0 { return Array("\(id)".utf8) }
        let base = casting.sizes[chance.below(casting.sizes.count)]
        let size = base < 64 ? base : base - chance.below(base / 3)
        // What is joined is another value then, and is not to grow beyond all bounds.
        let isJoin = verb == .append || verb == .prepend
        return Question.value(id, isJoin ? min(max(size, 1), 3000) : size)
    }

    private func allowsMeta(_ question: Question) -> Bool {
        switch question.verb {
        case .touch, .flush, .flushLater, .noop: return false
        case .incr, .decr: return !question.isQuiet
        case .gat, .gats: if case .dead = question.lifetime { return false }
        default: break
        }
        return true
    }

    /// Everybody looks at some keys.
    func inspect() {
        for key in 0..<casting.keys where isRoomFor(key) {
            guard isRunning, !clients.isEmpty else { return }
            let client = clients[chance.below(clients.count)]
            if !network.hasEnded(client.peer), !client.hasFinished {
                client.ask(Question(.gets, [key]))
                sendAll(client)
            }
            for _ in 0..<3 { step() }
            hear(client)
        }
    }

    /// Somebody sets many of the keys.
    func rewrite() {
        for key in 0..<casting.keys where isRoomFor(key) && chance.below(3) > 0 {
            guard isRunning, let client = clients.randomElement(using: &chance) else { return }
            guard !network.hasEnded(client.peer), !client.hasFinished else { continue }
            var question = Question(.set, [key])
            question.value = drawValue(.set)
            client.ask(question)
            sendAll(client)
            for _ in 0..<2 { step() }
            hear(client)
        }
    }

    /// Values that nobody asks for again: what was written before leaves memory, and the disk.
    func fill(_ client: WholeClient, count: Int, valueBytes: Int) {
        guard !network.hasEnded(client.peer), !client.hasFinished else { return }
        for _ in 0..<count {
            var question = Question(.set)
            question.filler = chance.below(100_000)
            question.value = [UInt8](repeating: 0x63, count: valueBytes)
            client.ask(question)
        }
        sendAll(client)
    }

    /// A change that wants a commit.
    func probe() {
        if clients.allSatisfy({ network.hasEnded($0.peer) || $0.hasFinished }) { connect() }
        guard let client = clients.first(where: { !network.hasEnded($0.peer) && !$0.hasFinished })
        else { return }
        fill(client, count: 1, valueBytes: 10)
    }

    // MARK: The law

    /// Its last byte is sent: it may be executed from now on.
    func begin(_ question: inout Question, by client: WholeClient) {
        let seconds = law.seconds...law.seconds
        question.began = law.beginRequest()
        question.mustHit = casting.isRoomy && !isRecovering && !isTroubled
        for key in question.keys {
            let id = law.newId()
            question.ids.append(id)
            law.begin(
                key, id: id, connection: client.number, question.effectsUnanswered(seconds),
                words: question.words)
        }
        if trace != nil {
            trace?("      c\(client.number) asks #\(question.number) \(question.words)")
        }
    }

    func end(_ question: Question, _ verdicts: [Verdict], by client: WholeClient) {
        result.operations += 1
        if client.isBinary { result.binaryOperations += 1 }
        guard let began = question.began else { return }
        let seconds = law.seconds(since: began)
        let commits = commits
        for (at, verdict) in verdicts.enumerated() {
            let key = question.keys[at]
            if trace != nil {
                let what = verdict.effects.map { describe($0) }.joined()
                trace?("      c\(client.number) \(question.verb) \(key) -> \(what)")
            }
            note(key, verdict)
            let isDurable = isAcknowledging && verdict.isHeld
            law.end(
                key, id: question.ids[at], allowed(verdict, seconds),
                isOptional: verdict.isOptional, isForgotten: verdict.isForgotten, seconds,
                commit: verdict.isCertain ? (isDurable ? 0 : commits.begun + 1) : nil,
                completed: commits.completed)
        }
    }

    /// So long a request waits for what it needs.
    private static let waitSecondsMax: UInt32 = 5

    /// A miss is a fault only where nothing may be lost, from beginning to end, and where the get
    /// cannot have waited for so long that it ended for that.
    private func allowed(
        _ verdict: Verdict, _ seconds: ClosedRange<UInt32>
    ) -> [Effect] {
        guard case .absent? = verdict.effects.first else { return verdict.effects }
        let mayHaveWaited = seconds.upperBound - seconds.lowerBound >= Self.waitSecondsMax
        return isTroubled || isRecovering || mayHaveWaited ? [] : verdict.effects
    }

    private func note(_ key: Int, _ verdict: Verdict) {
        if let cas = verdict.cas, !casting.clockSteps, !home.hasLostOrders {
            law.note(key, cas: cas.number, cas.bytes)
        }
        switch verdict.effects.last {
        case .read(let shown)?, .readAndExpire(let shown, _)?:
            if shown.isWon { result.wins += 1 }
            result.hits += 1
            if isRecovering { result.hitsWhileRecovering += 1 }
        default: break
        }
    }

    /// A quiet request was executed: what follows it is answered.
    func endSilently(_ question: Question, isCertain: Bool) {
        result.operations += 1
        guard let began = question.began else { return }
        let seconds = law.seconds(since: began)
        let commits = commits
        let effects =
            isCertain ? question.effects(seconds) : question.effectsUnanswered(seconds)
        for (key, id) in zip(question.keys, question.ids) {
            law.end(
                key, id: id, effects, isOptional: !isCertain, seconds,
                commit: isCertain ? commits.begun + 1 : nil, completed: commits.completed)
        }
    }

    /// No answer comes any more: it was executed or not.
    func abandon(_ question: Question) {
        guard let began = question.began else { return }
        let seconds = law.seconds(since: began)
        for (key, id) in zip(question.keys, question.ids) {
            law.end(
                key, id: id, question.effectsUnanswered(seconds), isOptional: true, seconds,
                commit: nil, completed: commits.completed)
        }
    }
}

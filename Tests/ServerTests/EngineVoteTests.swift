// EngineVoteTests: all workers go the same way, however their rings came out.

import Primitives
import Server
import Support
import Testing
import Uring

@Suite struct EngineVoteTests {
    /// What each of three workers hears that say so at the same time.
    private func answers(_ refusals: [RingError?]) throws -> [RingError?] {
        let vote = try EngineVote(workers: refusals.count)
        let heard = Guarded<[RingError?]>([])
        let threads = ThreadBox()
        for refusal in refusals {
            threads.append(
                try Thread(name: "voter") {
                    let answer = vote.cast(refusal)
                    heard.withLock { $0.append(answer) }
                })
        }
        threads.joinAll()
        #expect([vote.refusal] == heard.withLock { $0.suffix(1) })
        return heard.withLock { $0 }
    }

    @Test func oneRingThatIsRefusedTakesAllToEpoll() throws {
        let refusal = RingError.memory
        for place in 0..<3 {
            var refusals: [RingError?] = [nil, nil, nil]
            refusals[place] = refusal
            #expect(try answers(refusals) == [refusal, refusal, refusal])
        }
    }

    @Test func withoutARefusalAllHaveRings() throws {
        #expect(try answers([nil, nil, nil]) == [nil, nil, nil])
    }
}

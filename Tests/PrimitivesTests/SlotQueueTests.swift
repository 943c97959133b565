// SlotQueueTests: a queue with holes answers as an array would, from both ends and from its middle.

import Primitives
import Support
import Testing

@Suite struct SlotQueueTests {
    @Test(arguments: [1, 2, 7, 64] as [Int])
    func itAnswersAsAnArrayWould(capacity: Int) throws {
        let region = try Region.map(byteCount: SlotQueue.byteCount(capacity: capacity))
        let queue = SlotQueue(region, at: 0, capacity: capacity)
        var chance = Chance(seed: UInt64(capacity))
        var model: [UInt32] = []
        var next: UInt32 = 1
        for _ in 0..<20_000 {
            switch chance.below(6) {
            case 0..<3 where model.count < capacity:
                queue.push(next)
                model.append(next)
                next += 1
            case 3:
                #expect(queue.pop() == (model.isEmpty ? nil : model.removeFirst()))
            case 4:
                #expect(queue.popLast() == model.popLast())
            default:
                let (limit, rest) = (1 + chance.below(capacity), UInt32(chance.below(3)))
                let at = model.prefix(limit).firstIndex { $0 % 3 == rest }
                let taken = queue.take(limit: limit, where: { $0 % 3 == rest })
                #expect(taken == at.map { model.remove(at: $0) })
            }
            #expect(queue.count == model.count)
        }
        var left: [UInt32] = []
        queue.forEach { left.append($0) }
        #expect(left == model)
    }
}

// ModelTests: random histories on stores of every shape, against the model.

import Store
import Testing

@Suite(.serialized) struct ModelTests {
    static func seeds(_ base: UInt64, _ count: Int) -> [UInt64] {
        (0..<UInt64(count * effort)).map { base + $0 }
    }

    @Test(arguments: seeds(100, 3)) func memoryAloneIsADictionary(seed: UInt64) throws {
        var swarm = Swarm()
        swarm.weights[9] = 0
        try check(seed: seed, swarm, count: 6000) {
            try StoreModel(.roomy) { try World(memory: 24 << 20) }
        }
    }

    @Test(arguments: seeds(200, 3)) func tightMemoryMissesButNeverErrs(seed: UInt64) throws {
        var swarm = Swarm(keys: 3000, sizes: [0, 10, 100, 2000, 9000, 30_000, 200_000])
        swarm.weights[9] = 0
        try check(seed: seed, swarm, count: 8000) {
            try StoreModel(.tight) { try World(memory: 4 << 20) }
        }
    }

    @Test(arguments: seeds(300, 2)) func diskBehindMemoryIsADictionary(seed: UInt64) throws {
        var swarm = Swarm()
        swarm.weights[10] = 1
        try check(seed: seed, swarm, count: 2500) {
            let scratch = Scratch()
            return try StoreModel(.roomy) { try World(memory: 40 << 20, directory: scratch.path) }
        }
    }

    @Test(arguments: seeds(400, 2)) func mostReadsFromDiskAreADictionary(seed: UInt64) throws {
        var swarm = Swarm(keys: 2500, sizes: [0, 10, 100, 2000, 5000, 20_000])
        swarm.weights[7] = 0
        swarm.weights[9] = 1
        try check(seed: seed, swarm, count: 6000) {
            let scratch = Scratch()
            return try StoreModel(.roomy) {
                try World(memory: 4 << 20, directory: scratch.path, diskBytes: 512 << 20)
            }
        }
    }

    @Test(arguments: seeds(500, 2)) func largeValuesFromDiskAreADictionary(seed: UInt64) throws {
        var swarm = Swarm(
            keys: 80, sizes: [10, 1000, 31_000, 33_000, 66_000, 130_000, 400_000, 900_000])
        swarm.stagedPercent = 50
        swarm.weights[10] = 1
        try check(seed: seed, swarm, count: 600) {
            let scratch = Scratch()
            return try StoreModel(.roomy) {
                try World(memory: 5 << 20, directory: scratch.path, diskBytes: 1 << 30)
            }
        }
    }

    @Test(arguments: seeds(600, 2)) func smallDiskMissesButNeverErrs(seed: UInt64) throws {
        var swarm = Swarm(keys: 4000, sizes: [0, 100, 2000, 9000, 30_000, 30_000, 100_000])
        swarm.weights[10] = 1
        swarm.weights[9] = 1
        try check(seed: seed, swarm, count: 5000) {
            let scratch = Scratch()
            return try StoreModel(.tight) {
                try World(memory: 4 << 20, directory: scratch.path, diskBytes: 64 << 20)
            }
        }
    }
}

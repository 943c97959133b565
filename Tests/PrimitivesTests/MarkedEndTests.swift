// MarkedEndTests: a fault of the watched thread leaves its mark, and what somebody sends does not.

import Glibc
import Primitives
import Support
import Testing

@Suite struct MarkedEndTests {
    /// What the file holds after a process that watched has ended so.
    private func made(_ scratch: Scratch) -> String {
        let path = scratch.path + "/mark"
        SmallFile.write(path, Array("boot".utf8))
        return path
    }

    private func holds(_ path: String) -> String {
        String(decoding: SmallFile.read(path, byteCountMax: 64) ?? [], as: UTF8.self)
    }

    @Test func aTrapIsNoted() async {
        let scratch = Scratch()
        let path = made(scratch)
        await #expect(processExitsWith: .failure) { [path = path as String] in
            FaultWatch.begin(appendingTo: path)
            preconditionFailure()
        }
        #expect(holds(path) == "boot+")
    }

    @Test func anAbortIsNoted() async {
        let scratch = Scratch()
        let path = made(scratch)
        await #expect(processExitsWith: .signal(SIGABRT)) { [path = path as String] in
            FaultWatch.begin(appendingTo: path)
            abort()
        }
        #expect(holds(path) == "boot+")
    }

    @Test func aPageThatIsNotThereIsNoted() async {
        let scratch = Scratch()
        let path = made(scratch)
        // By the signal, but where a sanitizer has the last word.
        await #expect(processExitsWith: .failure) { [path = path as String] in
            let descriptor = open(path + ".empty", O_RDWR | O_CREAT, 0o600)
            let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
            FaultWatch.begin(appendingTo: path)
            page?.storeBytes(of: 1, as: UInt8.self)
        }
        #expect(holds(path) == "boot+")
    }

    @Test func whatSomebodySendsIsNot() async {
        for number in [SIGKILL, SIGTERM] {
            let scratch = Scratch()
            let path = made(scratch)
            await #expect(processExitsWith: .signal(number)) {
                [path = path as String, number = number as Int32] in
                FaultWatch.begin(appendingTo: path)
                kill(getpid(), number)
                while true { pause() }
            }
            #expect(holds(path) == "boot")
        }
    }

    @Test func anotherThreadsFaultIsNot() async {
        let scratch = Scratch()
        let path = made(scratch)
        await #expect(processExitsWith: .failure) { [path = path as String] in
            FaultWatch.begin(appendingTo: path)
            let thread = try? Thread(name: "fault", isBackground: false) { preconditionFailure() }
            _ = thread
            while true { pause() }
        }
        #expect(holds(path) == "boot")
    }

    @Test func whatComesAfterTheWatchIsNot() async {
        let scratch = Scratch()
        let path = made(scratch)
        await #expect(processExitsWith: .failure) { [path = path as String] in
            FaultWatch.begin(appendingTo: path)
            FaultWatch.end()
            preconditionFailure()
        }
        #expect(holds(path) == "boot")
    }
}

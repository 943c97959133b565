// ContainerLimitTests: what a container or a machine has, from the files of the kernel.

import Testing
import brim

@Suite struct ContainerLimitTests {
    private func memory(_ files: [String: String]) -> SystemMemory {
        var files = files
        files["/proc/meminfo"] = "MemTotal:        8388608 kB\nMemFree: 1 kB\n"
        return SystemMemory { files[$0] }
    }

    @Test(
        arguments: [
            ([:], nil),
            // Version 2, with a namespace of its own, and without: the least of all above counts.
            (["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "536870912\n"], 512),
            (
                [
                    "/proc/self/cgroup": "0::/pod/one\n",
                    "/sys/fs/cgroup/pod/one/memory.max": "max\n",
                    "/sys/fs/cgroup/pod/memory.max": "1073741824\n",
                ], 1024
            ),
            // Version 1, and its way to say "no limit".
            (
                [
                    "/proc/self/cgroup": "3:cpu,memory:/docker/a\n1:pids:/docker/a\n",
                    "/sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes": "268435456\n",
                    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                ], 256
            ),
            (
                [
                    "/proc/self/cgroup": "3:memory:/\n",
                    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                ], nil
            ),
        ] as [([String: String], Int?)])
    func theLeastLimitCounts(_ files: [String: String], mebibytes: Int?) {
        let memory = memory(files)
        #expect(memory.machineBytes == 8 << 30)
        #expect(memory.containerBytes == mebibytes.map { $0 << 20 })
        #expect(memory.bytes == mebibytes.map { $0 << 20 } ?? 8 << 30)
    }

    @Test func aShareIsOfTheContainer() {
        let files = ["/proc/self/cgroup": "0::/", "/sys/fs/cgroup/memory.max": "1073741824"]
        #expect(memory(files).share("75%") == 768 << 20)
        #expect(memory([:]).share("50%") == 4096 << 20)
        for text in ["0%", "101%", "75", "%", "-1%", "7.5%"] {
            #expect(memory([:]).share(text) == nil, "\(text)")
        }
    }

    @Test func whatDoesNotFitIsSaidWithTheNumberThatDoes() {
        let files = ["/proc/self/cgroup": "0::/", "/sys/fs/cgroup/memory.max": "536870912"]
        let memory = memory(files)
        let text = memory.warning(memoryBytes: 512 << 20, workers: 2)
        #expect(text?.contains("a container of 512 MiB: 451 fits") == true, "\(text ?? "")")
        #expect(memory.warning(memoryBytes: 451 << 20, workers: 2) == nil)
        #expect(self.memory([:]).warning(memoryBytes: 1 << 40, workers: 2) == nil)
    }

    @Test func aShareIsASetting() throws {
        let run = try Brim.check("-m 50%")
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.settings["memory-limit"] == "\(SystemMemory().share("50%") ?? 0)")
        #expect(try Brim.check("-m 101%").exitCode == 64)
    }
}

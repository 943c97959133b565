// FlagTests: what memcached's command line, and ours, means.

import Testing

/// A command line and what it makes of one setting.
struct FlagCase: CustomTestStringConvertible, Sendable {
    let line: String
    let name: String
    let value: String
    init(_ line: String, _ name: String, _ value: String) {
        self.line = line
        self.name = name
        self.value = value
    }
    var testDescription: String { "\(line) → \(name) \(value)" }
}

/// A command line that cannot be, and what the one line about it must hold.
struct FaultCase: CustomTestStringConvertible, Sendable {
    let line: String
    let parts: [String]
    init(_ line: String, _ parts: String...) {
        self.line = line
        self.parts = parts
    }
    var testDescription: String { line }
}

private let accepted: [FlagCase] = [
    // Addresses.
    FlagCase("", "listen", "127.0.0.1:11211"),
    FlagCase("-p 7", "listen", "127.0.0.1:7"),
    FlagCase("-p7", "listen", "127.0.0.1:7"),
    FlagCase("--port=7", "listen", "127.0.0.1:7"),
    FlagCase("--port 7", "listen", "127.0.0.1:7"),
    FlagCase("-p 7 -p 8", "listen", "127.0.0.1:8"),
    FlagCase("-l 10.0.0.1", "listen", "10.0.0.1:11211"),
    FlagCase("-l 10.0.0.1 -p 7", "listen", "10.0.0.1:7"),
    FlagCase("-l a,b", "listen", "a:11211 b:11211"),
    FlagCase("-la,b:3", "listen", "a:11211 b:3"),
    FlagCase("-l a -l b", "listen", "a:11211 b:11211"),
    FlagCase("-l a:1 -p 2 -l b", "listen", "a:1 b:2"),
    FlagCase("-l localhost:0", "listen", "localhost:0"),
    FlagCase("-l ::1", "listen", "[::1]:11211"),
    FlagCase("-l [::1]", "listen", "[::1]:11211"),
    FlagCase("-l [::1]:9", "listen", "[::1]:9"),
    FlagCase("-l [fe80::1%eth0]:9", "listen", "[fe80::1%eth0]:9"),
    FlagCase("-l *:9", "listen", "0.0.0.0:9"),
    FlagCase("-l a:5,b -p 0", "listen", "a:5"),
    FlagCase("-s /run/b.sock", "listen", "-"),
    FlagCase("-s /run/b.sock -p 7", "listen", "-"),
    FlagCase("-s /run/b.sock -l ::1", "listen", "[::1]:11211"),
    FlagCase("-s /run/b.sock", "unix-socket", "/run/b.sock"),
    FlagCase("--unix-socket=/run/b.sock", "unix-socket", "/run/b.sock"),
    FlagCase("-a 0660", "unix-mask", "660"),
    FlagCase("-a777", "unix-mask", "777"),
    FlagCase("-U 0", "listen", "127.0.0.1:11211"),
    FlagCase("-U0", "threads", "\(expectedThreads)"),
    FlagCase("-B ascii", "listen", "127.0.0.1:11211"),
    FlagCase("-B auto", "listen", "127.0.0.1:11211"),
    // Memory and sizes.
    FlagCase("", "memory-limit", "268435456"),
    FlagCase("-m 64", "memory-limit", "67108864"),
    FlagCase("-m64", "memory-limit", "67108864"),
    FlagCase("-m 65536k", "memory-limit", "67108864"),
    FlagCase("-m 64M", "memory-limit", "67108864"),
    FlagCase("-m 2g", "memory-limit", "2147483648"),
    FlagCase("-m 16384g", "memory-limit", "17592186044416"),
    FlagCase("--memory-limit=64", "memory-limit", "67108864"),
    FlagCase("-m 100 -m 64", "memory-limit", "67108864"),
    FlagCase("", "max-item-size", "1048576"),
    FlagCase("-I 1024", "max-item-size", "1024"),
    FlagCase("-I 4m", "max-item-size", "4194304"),
    FlagCase("-I512m -m 1024", "max-item-size", "536870912"),
    // Counts.
    FlagCase("-c 1", "conn-limit", "1"),
    FlagCase("-c1000000 -m 1g", "conn-limit", "1000000"),
    FlagCase("-t 3", "threads", "3"),
    FlagCase("-t3", "threads", "3"),
    FlagCase("-b 65535", "listen-backlog", "65535"),
    FlagCase("-R 1", "max-reqs-per-event", "1"),
    FlagCase("--max-reqs-per-event=33", "max-reqs-per-event", "33"),
    FlagCase("--idle-timeout 30", "idle-timeout", "30"),
    FlagCase("--win-timeout 30", "win-timeout", "30"),
    FlagCase("--admin-listen 127.0.0.1:9150", "admin-listen", "127.0.0.1:9150"),
    FlagCase(
        "--admin-listen [::1]:1 --admin-listen=unix:/a,*:2", "admin-listen",
        "[::1]:1,0.0.0.0:2,unix:/a"),
    FlagCase("--admin-metrics-auth", "admin-metrics-auth", "true"),
    FlagCase("--drain-delay 3600", "drain-delay", "3600"),
    FlagCase("--drain-timeout 0.05", "drain-timeout", "0.05"),
    FlagCase("--drain-timeout 3600", "drain-timeout", "3600"),
    FlagCase("--log-format logfmt", "log-format", "logfmt"),
    FlagCase("", "engine", "auto"),
    FlagCase("--engine=epoll", "engine", "epoll"),
    FlagCase("--engine io_uring", "engine", "io_uring"),
    // Switches, alone and in clusters.
    FlagCase("", "verbose", "0"),
    FlagCase("-v", "verbose", "1"),
    FlagCase("-vv", "verbose", "2"),
    FlagCase("-v -v", "verbose", "2"),
    FlagCase("-vvvvv", "verbose", "3"),
    FlagCase("--verbose", "verbose", "1"),
    FlagCase("", "stat-prefix", "-"),
    FlagCase("-D .", "stat-prefix", "."),
    FlagCase("-D:", "stat-prefix", ":"),
    FlagCase("--stat-prefix=/", "stat-prefix", "/"),
    FlagCase("", "disable-cas", "false"),
    FlagCase("-C", "disable-cas", "true"),
    FlagCase("-Cvm 64", "memory-limit", "67108864"),
    FlagCase("-Cvm64", "verbose", "1"),
    FlagCase("-vCp 7", "listen", "127.0.0.1:7"),
    FlagCase("", "daemon", "false"),
    FlagCase("-d", "daemon", "true"),
    FlagCase("-vd", "daemon", "true"),
    FlagCase("-A", "enable-shutdown", "true"),
    FlagCase("-F", "disable-flush-all", "true"),
    FlagCase("-X", "disable-dumping", "true"),
    FlagCase("-W", "disable-watch", "true"),
    FlagCase("-M --no-store", "disable-evictions", "true"),
    FlagCase("-AFXvm 64", "memory-limit", "67108864"),
    FlagCase("", "protocol", "auto"),
    FlagCase("-B binary", "protocol", "binary"),
    FlagCase("-Y /etc/auth", "auth-file", "/etc/auth"),
    FlagCase("-S", "enable-sasl", "true"),
    FlagCase("-o idle_timeout=30", "idle-timeout", "30"),
    FlagCase("--extended=modern,idle_timeout=31,track_sizes", "idle-timeout", "31"),
    // Names.
    FlagCase("-u root", "user", "root"),
    FlagCase("-u 0", "user", "root"),
    FlagCase("-P /run/b.pid", "pidfile", "/run/b.pid"),
    // The store.
    FlagCase("", "store", "/nonexistent/.local/state/brim"),
    FlagCase("--store /var/b", "store", "/var/b"),
    FlagCase("--store=/var/b", "store", "/var/b"),
    FlagCase("--no-store", "store", "-"),
    FlagCase("", "store-size", "4294967296"),
    FlagCase("--store-size 64m", "store-size", "67108864"),
    FlagCase("--store-size=100000000", "store-size", "100000000"),
    FlagCase("", "durability", "interval"),
    FlagCase("--durability ack", "durability", "ack"),
    FlagCase("", "flush-interval", "100"),
    FlagCase("--flush-interval 1", "flush-interval", "1"),
]

private let refused: [FaultCase] = [
    FaultCase("-p 65536", "-p", "65536", "0 to 65535"),
    FaultCase("-p -1", "-p", "-1", "0 to 65535"),
    FaultCase("-p 0", "-p", "'0'"),
    FaultCase("-p", "-p needs a value"),
    FaultCase("--port=x", "-p", "'x'"),
    FaultCase("--port=", "--port needs a value"),
    FaultCase("-U 11211", "-U", "no UDP"),
    FaultCase("-l a,,b", "-l", "a,,b"),
    FaultCase("-l a:b", "-l", "a:b"),
    FaultCase("-l [::1", "-l", "[::1"),
    FaultCase("-l [::1]9", "-l"),
    FaultCase("-l :7", "-l"),
    FaultCase("-l a/b", "-l"),
    FaultCase("-l a:70000", "-l"),
    FaultCase("-l " + Array(repeating: "a", count: 65).joined(separator: ","), "-l", "at most 64"),
    FaultCase("-s /" + String(repeating: "x", count: 107), "-s", "107"),
    FaultCase("-a 8", "-a", "octal"),
    FaultCase("-a 1000", "-a", "0 to 777"),
    FaultCase("-m 12x", "-m", "12x", "k, m, g"),
    FaultCase("-m k", "-m"),
    FaultCase("-m 1.5g", "-m"),
    FaultCase("-m -1", "-m"),
    FaultCase("-m 16385g", "-m", "16384g"),
    FaultCase("-m 99999999999999999999", "-m"),
    FaultCase("-m 9223372036854775807g", "-m"),
    FaultCase("-I 1023", "-I", "1k to 512m"),
    FaultCase("-I 513m -m 4g", "-I", "1k to 512m"),
    FaultCase("-I 129m", "-I", "half", "134217728"),
    FaultCase("-c 0", "-c", "1 to 1000000"),
    FaultCase("-c 1000001", "-c"),
    FaultCase("-c -3", "-c", "'-3'"),
    FaultCase("-t 0", "-t", "1 to 128"),
    FaultCase("-t 129", "-t"),
    FaultCase("-t 2k", "-t"),
    FaultCase("-b 0", "-b", "1 to 65535"),
    FaultCase("-R 0", "-R", "1 to 1000000"),
    FaultCase("-u no-such-user", "-u", "no-such-user"),
    FaultCase("--admin-listen 9150", "--admin-listen", "host:port"),
    FaultCase("--engine select", "--engine", "auto, io_uring, epoll"),
    FaultCase("--win-timeout 3601", "--win-timeout", "0 to 3600"),
    FaultCase("--idle-timeout -1", "--idle-timeout", "0 to 2592000"),
    FaultCase("--store-size 1m", "--store-size", "64m to 16384g"),
    FaultCase("--durability none", "--durability", "none", "interval, ack"),
    FaultCase("--flush-interval 0", "--flush-interval", "1 to 60000"),
    FaultCase("--store /a --no-store", "--store", "either"),
    FaultCase("--config /no/such/file", "--config", "/no/such/file"),
    // Not ours.
    FaultCase("-q", "-q is not a flag"),
    FaultCase("-vq", "-q is not a flag"),
    FaultCase("--frob", "--frob is not a flag"),
    FaultCase("--memory 5", "--memory is not a flag"),
    FaultCase("--", "is not a flag"),
    FaultCase("word", "'word' is not a flag"),
    FaultCase("--no-store=1", "takes no value"),
    FaultCase("-m", "-m needs a value"),
    // Not yet.
    FaultCase("-Z", "-Z", "not supported yet"),
    FaultCase("-o idle_timeout=x", "idle-timeout", "'x'"),
    FaultCase("-o idle_timeout", "-o idle_timeout needs a value"),
    FaultCase("-o ssl_key=/k", "-o ssl_key", "not supported yet"),
    FaultCase("-D ::", "-D", "one character"),
    FaultCase("-D", "-D", "needs a value"),
    FaultCase("-M", "disable-evictions", "no-store"),
    FaultCase("-N 4", "-N", "not supported yet"),
    FaultCase("-B telnet", "-B", "auto, ascii, binary"),
    FaultCase("-S -B ascii", "-B", "auto or binary"),
    FaultCase("-Y /etc/auth -B binary", "-B", "auto or ascii"),
]

@Suite struct FlagTests {
    @Test(arguments: accepted) func aFlagMeansWhatItSays(_ example: FlagCase) throws {
        let run = try Brim.check(example.line)
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.settings[example.name] == example.value)
    }

    @Test(arguments: refused) func aFaultIsOneLineAndExitCode64(_ example: FaultCase) throws {
        let run = try Brim.check(example.line)
        #expect(run.exitCode == 64)
        #expect(run.output.isEmpty)
        #expect(run.complaints.count == 1, "\(run.errors)")
        #expect(run.errors.hasPrefix("brim: "))
        for part in example.parts { #expect(run.errors.contains(part), "\(run.errors)") }
    }

    @Test func everySettingIsReportedOnceInAStableOrder() throws {
        let names = try Brim.check("").output.split(separator: "\n")
            .map { String($0.prefix { $0 != " " }) }
        #expect(
            names == [
                "listen", "unix-socket", "unix-mask", "memory-limit", "conn-limit", "threads",
                "max-item-size", "listen-backlog", "max-reqs-per-event", "user", "pidfile",
                "verbose", "stat-prefix", "disable-cas", "daemon", "enable-shutdown",
                "disable-flush-all",
                "disable-dumping", "disable-evictions", "disable-watch", "protocol", "auth-file",
                "enable-sasl", "store", "store-size", "durability", "flush-interval",
                "idle-timeout", "win-timeout", "engine", "admin-listen", "admin-token-file",
                "admin-hosts", "admin-metrics-auth", "drain-delay", "drain-timeout", "log-format",
            ])
    }

    @Test(arguments: ["-V", "--version", "-m64 -V"])
    func versionIsOneLine(_ line: String) throws {
        let run = try Brim.run(line.split(separator: " ").map(String.init))
        #expect(run.exitCode == 0)
        #expect(run.output.wholeMatch(of: /brim \d+\.\d+\.\d+\n/) != nil)
        #expect(run.errors.isEmpty)
    }

    @Test(arguments: ["-h", "--help"]) func helpNamesEveryFlag(_ flag: String) throws {
        let run = try Brim.run([flag])
        #expect(run.exitCode == 0)
        #expect(run.errors.isEmpty)
        for letter in "plsamctIbRuPvCUVhdAFXD" { #expect(run.output.contains("-\(letter), --")) }
        for name in ["store", "no-store", "store-size", "durability", "config"] {
            #expect(run.output.contains("--\(name)"))
        }
    }

    @Test(arguments: [["-m 64"], ["-m", "64"], ["-m   64"], ["-m64"]])
    func aValueMayFollowItsLetterBehindABlank(_ words: [String]) throws {
        let run = try Brim.run(["--check-config", "-I 2m", "-c 99"] + words)
        #expect(run.exitCode == 0)
        #expect(run.settings["memory-limit"] == "67108864")
        #expect(run.settings["max-item-size"] == "2097152")
        #expect(run.settings["conn-limit"] == "99")
    }

    @Test(arguments: [
        ("-o modern", "modern"), ("-o modern -o slab_reassign,slab_automove=1", "slab_reassign"),
        ("--extended=track_sizes,lru_crawler,hashpower=20", "hashpower"),
    ])
    func optionsThatOnlyTuneGetOneWarning(_ line: String, _ name: String) throws {
        let run = try Brim.check(line)
        #expect(run.exitCode == 0)
        #expect(run.complaints.count == 1)
        #expect(run.errors.contains(name) && run.errors.contains("without effect"))
    }

    @Test func anUnknownOptionIsAWarning() throws {
        let run = try Brim.check("-o modern,frobnicate=1")
        #expect(run.exitCode == 0)
        #expect(run.complaints.count == 2)
        #expect(run.errors.contains("frobnicate ignored"))
    }

    @Test(arguments: [
        "-f 1.25", "-f1.25", "-n 48", "-L", "--slab-growth-factor=1.1", "-k", "-r", "-e /mnt/f",
    ])
    func whatHasNoMeaningHereIsReadWithAWarning(_ line: String) throws {
        let run = try Brim.check(line + " -m 64")
        #expect(run.exitCode == 0)
        #expect(run.settings["memory-limit"] == "67108864")
        #expect(run.complaints.count == 1)
        #expect(run.errors.contains("has no effect"))
    }

    @Test(arguments: [("-m 1 -t 1", 1), ("-m 0", expectedThreads), ("-m 64 -t 64", 64)])
    func tooLittleMemoryIsRaisedWithAWarning(_ line: String, _ threads: Int) throws {
        let run = try Brim.check(line)
        #expect(run.exitCode == 0)
        let bytes = try #require(run.settings["memory-limit"].flatMap { Int($0) })
        #expect(bytes >= (16 << 20) + threads * (4 << 20))
        #expect(bytes % (1 << 20) == 0)
        #expect(run.complaints.count == 1)
        #expect(run.errors.contains("memory-limit raised"))
        #expect(try Brim.check("-t \(threads) -m \(bytes >> 20)").complaints.isEmpty)
    }

    @Test func defaultsAreSilent() throws {
        #expect(try Brim.check("").complaints.isEmpty)
    }
}

/// The default of `-t` where the tests run.
private let expectedThreads = min(availableCores, 4)

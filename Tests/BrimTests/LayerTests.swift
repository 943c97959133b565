// LayerTests: flags over environment over file, and what each of them may say.

import Foundation
import Testing

/// Cores this process, and so its children, may run on.
let availableCores: Int = {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let mask = status.firstMatch(of: /Cpus_allowed:\s*([0-9a-f,]+)/)?.1 ?? "1"
    return mask.reduce(0) { $0 + ($1.hexDigitValue ?? 0).nonzeroBitCount }
}()

private let whole = """
    # Everything at another value than its default.
    listen:
      - 10.0.0.1
      - "[::1]:7"
    port: 12
    unix-socket: /run/b.sock
    unix-mask: 660
    memory-limit: 1g
    conn-limit: 10
    threads: 3
    max-item-size: 2m
    listen-backlog: 11
    max-reqs-per-event: 12
    user: root
    pidfile: /run/b.pid
    verbose: 1
    stat-prefix: .
    disable-cas: true
    daemon: true
    enable-shutdown: true
    disable-flush-all: true
    disable-dumping: true
    disable-evictions: false
    disable-watch: true
    protocol: ascii
    auth-file: /etc/people
    enable-sasl: false
    udp-port: 0
    store: /var/b   # and a comment
    no-store: false
    store-size: 1g
    durability: ack
    flush-interval: 20
    idle-timeout: 60
    win-timeout: 9
    engine: epoll
    admin-listen: 127.0.0.1:9150,unix:/run/a.sock
    admin-token-file: /etc/brim/token
    admin-hosts: Cache.example, other
    admin-metrics-auth: true
    drain-delay: 5
    drain-timeout: 1.50
    log-format: json

    """

private let wholeReport = """
    listen 10.0.0.1:12
    listen [::1]:7
    unix-socket /run/b.sock
    unix-mask 660
    memory-limit 1073741824
    conn-limit 10
    threads 3
    max-item-size 2097152
    listen-backlog 11
    max-reqs-per-event 12
    user root
    pidfile /run/b.pid
    verbose 1
    stat-prefix .
    disable-cas true
    daemon true
    enable-shutdown true
    disable-flush-all true
    disable-dumping true
    disable-evictions false
    disable-watch true
    protocol ascii
    auth-file /etc/people
    enable-sasl false
    store /var/b
    store-size 1073741824
    durability ack
    flush-interval 20
    idle-timeout 60
    win-timeout 9
    engine epoll
    admin-listen 127.0.0.1:9150,unix:/run/a.sock
    admin-token-file /etc/brim/token
    admin-hosts cache.example,other
    admin-metrics-auth true
    drain-delay 5
    drain-timeout 1.5
    log-format json

    """

@Suite struct LayerTests {
    @Test func aFileMaySetEverything() throws {
        let run = try withFile(whole) { try Brim.check("--config \($0)") }
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.output == wholeReport)
    }

    @Test func aByteOrderMarkIsNoPartOfTheFirstName() throws {
        let run = try withFile("\u{FEFF}" + whole) { try Brim.check("--config \($0)") }
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.output == wholeReport)
        // Of a file that holds nothing else, nothing is said either.
        let empty = try withFile("\u{FEFF}# nothing\n") { try Brim.check("--config \($0)") }
        #expect(empty.exitCode == 0, "\(empty.errors)")
        // A second one is a character like others.
        let twice = try withFile("\u{FEFF}\u{FEFF}threads: 2\n") {
            try Brim.check("--config \($0)")
        }
        #expect(twice.exitCode == 64)
    }

    @Test func theEnvironmentMaySetEverything() throws {
        var environment: [String: String] = ["BRIM_LISTEN": "10.0.0.1,[::1]:7"]
        for line in whole.split(separator: "\n") {
            let parts = line.split(separator: "#")[0].split(separator: ":", maxSplits: 1)
            guard parts.count == 2, !line.hasPrefix(" "), !line.hasPrefix("#") else { continue }
            let name = "BRIM_" + parts[0].uppercased().replacing("-", with: "_")
            environment[name] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        let run = try Brim.check("", environment: environment)
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.output == wholeReport)
    }

    @Test func flagsGoBeforeTheEnvironmentAndThatBeforeTheFile() throws {
        let text = "memory-limit: 100\nconn-limit: 100\nthreads: 1\n"
        let run = try withFile(text) { path in
            try Brim.check(
                "-m 300",
                environment: [
                    "BRIM_CONFIG": path, "BRIM_MEMORY_LIMIT": "200", "BRIM_CONN_LIMIT": "200",
                ])
        }
        #expect(run.settings["memory-limit"] == "\(300 << 20)")
        #expect(run.settings["conn-limit"] == "200")
        #expect(run.settings["threads"] == "1")
    }

    @Test func theFlagNamesTheFileBeforeTheEnvironmentDoes() throws {
        let run = try withFile("conn-limit: 7\n") {
            try Brim.check("--config \($0)", environment: ["BRIM_CONFIG": "/no/such/file"])
        }
        #expect(run.settings["conn-limit"] == "7")
    }

    @Test func emptyMeansNotGivenInEnvironmentAndFile() throws {
        let run = try withFile("conn-limit:\nuser: \"\"\nlisten: \"\"\nthreads: 2\n") {
            try Brim.check(
                "--config \($0)", environment: ["BRIM_THREADS": "", "BRIM_STORE": ""])
        }
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.settings["conn-limit"] == "1024")
        #expect(run.settings["threads"] == "2")
        #expect(run.settings["listen"] == "127.0.0.1:11211")
        #expect(run.settings["user"] == "-")
    }

    @Test(arguments: [
        ("--no-store", ["BRIM_STORE": "/var/b"], "-"),
        ("--store /var/c", ["BRIM_NO_STORE": "yes"], "/var/c"),
        ("", ["BRIM_NO_STORE": "1"], "-"),
        ("", ["BRIM_NO_STORE": "off", "BRIM_STORE": "/var/b"], "/var/b"),
        ("", ["STATE_DIRECTORY": "/var/lib/x:/var/lib/y", "XDG_STATE_HOME": "/s"], "/var/lib/x"),
        ("", ["XDG_STATE_HOME": "/s", "HOME": "/h"], "/s/brim"),
        ("", ["XDG_STATE_HOME": "relative", "HOME": "/h"], "/h/.local/state/brim"),
        ("", ["HOME": "/"], "/.local/state/brim"),
        ("--store /var/c", ["STATE_DIRECTORY": "/var/lib/x"], "/var/c"),
    ])
    func theStoreLiesWhereTheMostSpecificVoiceSays(
        _ line: String, _ environment: [String: String], _ directory: String
    ) throws {
        let run = try Brim.check(line, environment: environment)
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.settings["store"] == directory)
    }

    @Test(arguments: ["relative", ""])
    func withoutAHomeMemoryServesUnlessAStoreWasAskedFor(_ home: String) throws {
        let run = try Brim.check("", environment: ["HOME": home])
        #expect(run.exitCode == 0)
        #expect(run.settings["store"] == "-")
        #expect(run.errors.contains("--store"), "that is said")
        for line in ["--store-size 1g", "--durability ack", "--flush-interval 50"] {
            let refused = try Brim.check(line, environment: ["HOME": home])
            #expect(refused.exitCode == 64, "\(line)")
            #expect(refused.errors.contains("--store"))
        }
        let silent = try Brim.check("--no-store", environment: ["HOME": home])
        #expect(silent.exitCode == 0 && !silent.errors.contains("--store"))
    }

    @Test(arguments: [
        ("BRIM_MEMORY_LIMIT", "1x"), ("BRIM_PORT", "abc"), ("BRIM_THREADS", "0"),
        ("BRIM_DISABLE_CAS", "perhaps"), ("BRIM_NO_STORE", "2"), ("BRIM_VERBOSE", "4"),
        ("BRIM_LISTEN", "a,"), ("BRIM_MAX_ITEM_SIZE", "1000m"), ("BRIM_STORE_SIZE", "1k"),
    ])
    func aFaultInTheEnvironmentNamesTheVariable(_ name: String, _ value: String) throws {
        let run = try Brim.check("", environment: [name: value])
        #expect(run.exitCode == 64)
        #expect(run.complaints.count == 1)
        #expect(run.errors.contains("\(name): '\(value)' (allowed: "), "\(run.errors)")
    }

    @Test(arguments: [
        ("memory-limit: 1x", "memory-limit in "), ("memroy-limit: 1", "no setting 'memroy-limit'"),
        ("threads: 1\nthreads: 2", "given twice"), ("threads: [1, 2]", "one value"),
        ("threads: {a: 1}", "mapping"), ("store:\n  size: 1g", "without indentation"),
        ("just words", "name: value"), ("threads:\n  - 1\n  - 2", "threads in "),
        ("listen: [a", "brim-test"), ("- a", "brim-test"), ("threads: \"1", "brim-test"),
        ("user: *a", "quote"), ("user: a: b", "quote"), ("user: \"a\" b", "comment"),
        ("user: 'a", "ends in its line"), ("user: |\n  a", "quote"), ("user:a", "blank"),
        ("user: \"\\x41\"", "after \\"), ("listen: [a, b] c", "comment"),
        ("disable-cas: 7", "true or false"), ("idle-timeout: 1.5", "0 to 2592000"),
        ("engine: kqueue", "auto, io_uring, epoll"), ("admin-listen: localhost", "host:port"),
    ])
    func aFaultInTheFileIsOneLineThatNamesTheFile(_ text: String, _ part: String) throws {
        let run = try withFile(text + "\n") { try Brim.check("--config \($0)") }
        #expect(run.exitCode == 64, "\(run.output)")
        #expect(run.complaints.count == 1, "\(run.errors)")
        #expect(run.errors.contains(part), "\(run.errors)")
        #expect(run.errors.contains("brim-test"), "\(run.errors)")
    }

    @Test(arguments: ["", "\n", "# nothing\n", "---\n# nothing\n", "---\nconn-limit: 1024\n"])
    func aFileMaySayNothing(_ text: String) throws {
        let run = try withFile(text) { try Brim.check("--config \($0)") }
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(try run.output == Brim.check("").output)
    }

    @Test(arguments: [
        ("pidfile: \"/a b\"  # comment", "/a b"), ("pidfile: '/it''s'", "/it's"),
        ("pidfile: /a#b", "/a#b"), ("pidfile: /a b # c", "/a b"), ("pidfile:   /a  ", "/a"),
        ("pidfile: ~", "-"), ("pidfile: \"/q\\\"\\\\\"", "/q\"\\"), ("pidfile: # nothing", "-"),
        ("pidfile: ''", "-"),
    ])
    func textsAreReadAsYAMLMeansThem(_ text: String, _ path: String) throws {
        let run = try withFile(text + "\n") { try Brim.check("--config \($0)") }
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.settings["pidfile"] == path)
    }

    @Test(arguments: [
        "listen: [10.0.0.1:12, '[::1]:7']", "listen:\n  - 10.0.0.1:12\n  - \"[::1]:7\"",
        "listen:\n- 10.0.0.1:12\n- '[::1]:7' # two", "listen: \"10.0.0.1:12,[::1]:7\"",
        "listen: [ 10.0.0.1:12 , '[::1]:7' , ]  # a comment",
    ])
    func listsAreReadAsYAMLMeansThem(_ text: String) throws {
        let run = try withFile(text + "\n") { try Brim.check("--config \($0)") }
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.output.hasPrefix("listen 10.0.0.1:12\nlisten [::1]:7\n"), "\(run.output)")
    }

    @Test func aDirectoryIsNoFile() throws {
        #expect(try Brim.check("--config /").exitCode == 64)
    }

    @Test func whatAContainerPlatformAddsForAServiceIsPassedOver() throws {
        let run = try Brim.check(
            "",
            environment: [
                "BRIM_PORT": "tcp://10.96.0.1:11211", "BRIM_SERVICE_HOST": "10.96.0.1",
                "BRIM_PORT_11211_TCP": "tcp://10.96.0.1:11211",
            ])
        #expect(run.exitCode == 0)
        #expect(run.settings["listen"] == "127.0.0.1:11211")
        #expect(run.complaints.count == 1)
        #expect(run.errors.contains("service link"))
    }

    @Test func anUnknownVariableIsNamed() throws {
        let run = try Brim.check("", environment: ["BRIM_MEMROY": "5"])
        #expect(run.exitCode == 0)
        #expect(run.errors.contains("BRIM_MEMROY ignored"))
    }
}

// ReportTests: tables within 100 columns, CSV, JSON and percentile files, from made-up outcomes.

import Load
import Primitives
import Report
import Testing

/// An outcome of figures that fill every column.
func outcome(rate: Double, version: String = "1.6.45", error: String? = nil) -> Outcome {
    var outcome = Outcome()
    outcome.counters.operations = 18_000_000_000_000
    outcome.counters.hits = 17_000_000_000_000
    outcome.counters.misses = 1_000_000_000_000
    outcome.counters.errors = 999_999_999_999
    outcome.counters.receivedBytes = 1 << 60
    outcome.counters.sentBytes = 1 << 60
    outcome.seconds = 86_400
    outcome.operationsPerSecond = rate
    outcome.requestsPerSecond = rate / 50
    outcome.serverNanoseconds = 86_400 * 1_000_000_000 * 63
    outcome.serverProcess = 4_194_303
    outcome.serverCores = "0-511"
    outcome.serverCommand = "server " + String(repeating: "--long-option=value ", count: 20)
    outcome.residentBytesBefore = 1 << 40
    outcome.residentBytesAfter = 1 << 41
    outcome.generatorShares = [0.95, 0.5]
    outcome.generatorNanoseconds = 1 << 50
    outcome.facts.version = version
    outcome.facts.statistics["brim_version"] = nil
    outcome.facts.settings = ["maxbytes": "18446744073709551615", "num_threads": "512"]
    outcome.kernel = "6.18.44"
    outcome.firstError = error
    for microseconds in UInt64(1)...1000 {
        outcome.latencies.record(.get, nanoseconds: microseconds * 3_600_000_000, count: 1_000)
    }
    for second in 0..<3 {
        var point = SeriesPoint()
        point.start = Double(second)
        point.seconds = 1
        point.operations = UInt64(rate) + UInt64(second)
        outcome.series.append(point)
    }
    return outcome
}

private let longName = "a-server-with-" + String(repeating: "a-very-long-name-", count: 8)

/// Two targets, the second with a name that no table has room for, over three rounds.
func section(
    _ names: [String] = ["brim", longName], rate: Double = 123_456_789_012,
    version: String = "1.6.45", error: String? = nil
) -> ReportSection {
    var comparison = Comparison(names: names)
    comparison.perform(
        rounds: 3,
        run: { (index) throws(LoadFailure) in
            outcome(rate: rate * Double(index + 1), version: version, error: error)
        },
        progress: { _, _, _ in })
    return ReportSection(
        title: "get, \"quoted\"", plan: LoadPlan(), comparison: comparison,
        addresses: names.map { _ in "127.0.0.1:11211" })
}

func report(_ sections: [ReportSection]) -> Report {
    Report(
        title: "A report", command: ["brim-bench", "compare", "--seed", "1"],
        unixSeconds: 1_795_440_000, machine: .read(), sections: sections)
}

private func isNarrow(_ lines: [String]) -> Bool { lines.allSatisfy { $0.count <= 100 } }

@Suite struct ReportTests {
    @Test(arguments: [1.0, 999, 74_355, 1_499_999, 123_456_789_012, 9e17])
    func tablesFitHundredColumns(rate: Double) throws {
        let lines = ComparisonText.lines(section(rate: rate))
        #expect(isNarrow(lines), "\(lines.joined(separator: "\n"))")
        let row = try #require(lines.first { $0.hasPrefix("brim  ") })
        #expect(row.contains("1.00"))
        #expect(lines.contains { $0.hasPrefix("a-se") && $0.contains("2.00") })
        #expect(isNarrow(ComparisonText.facts(report([section(rate: rate)]))))
        let target = try Target(parsing: "\(longName)=127.0.0.1:1")
        let words = OutcomeText.lines(outcome(rate: rate), LoadPlan(), target, .read())
        #expect(isNarrow(words), "\(words.joined(separator: "\n"))")
        #expect(words.contains { $0.hasPrefix("get ") && $0.contains("3600.0s") })
    }

    @Test func factsAreShownWithEachResult() throws {
        let target = try Target(parsing: "one=127.0.0.1:1")
        let machine = MachineFacts.read()
        let words = OutcomeText.lines(outcome(rate: 5), LoadPlan(), target, machine)
            .joined(separator: "\n")
        #expect(!machine.kernel.isEmpty)
        #expect(machine.coreCount > 0)
        #expect(machine.memoryBytes > 1 << 20)
        for fact in [
            "Linux \(machine.kernel)", "1.6.45", "num_threads 512", "process    4194303 on core",
            "brim-bench \(GeneratorVersion.number)", "seed 1", "command    server --long",
            "1048576.0 MiB before", "BOTTLENECK",
        ] { #expect(words.contains(fact), "\(fact) in \(words)") }
    }

    @Test func whatATerminalObeysIsSpelledOut() throws {
        let evil = "1.0\u{1B}[2J\u{7}\u{202E}x\r\n\u{9B}"
        let target = try Target(parsing: "one=127.0.0.1:1")
        let lines = OutcomeText.lines(
            outcome(rate: 5, version: evil, error: evil), LoadPlan(), target, .read())
        let text = lines.joined(separator: "\n")
        #expect(!text.unicodeScalars.contains { $0 != "\n" && ($0.value < 32 || $0 == "\u{202E}") })
        #expect(text.contains("1.0\\u{1b}[2J\\u{7}\\u{202e}x"))
        let csv = CSVText.lines(report([section(version: evil)]))
        #expect(csv.allSatisfy { line in !line.unicodeScalars.contains { $0.value < 32 } })
    }

    @Test func aTableShortensNamesLast() {
        #expect(TableText.lines([["a", "1"], ["bb", "22"]]) == ["a    1", "bb  22"])
        let cells = Array(repeating: String(repeating: "9", count: 12), count: 7)
        let lines = TableText.lines([[String(repeating: "n", count: 50)] + cells])
        #expect(lines[0].count <= 100)
        #expect(lines[0].hasPrefix("nnnn"))
        #expect(lines[0].contains("…"))
    }

    @Test func linesBreakBetweenWords() {
        let lines = PlainText.wrapped(
            String(repeating: "word ", count: 60), label: "label  ")
        #expect(lines.allSatisfy { $0.count <= 100 })
        #expect(lines[0].hasPrefix("label  word"))
        #expect(lines[1].hasPrefix("       word"))
        let long = PlainText.wrapped(String(repeating: "x", count: 250), label: "> ")
        #expect(long.map(\.count) == [100, 100, 56])
        #expect(PlainText.wrapped("", label: "none") == ["none"])
    }

    @Test(arguments: [
        (0, "0"), (0.5, "0.50"), (999, "999"), (1000, "1.00k"), (53_316, "53.3k"),
        (999_600, "1.00M"), (1_234_567, "1.23M"), (4e12, "4.00T"), (-2500, "-2.50k"),
    ])
    func largeNumbersGetALetter(value: Double, text: String) {
        #expect(NumberText.scaled(value) == text)
    }

    @Test func aTargetThatFailsIsShownWithTheOthers() throws {
        var comparison = Comparison(names: ["one", "two"])
        comparison.perform(
            rounds: 3,
            run: { (index) throws(LoadFailure) in
                guard index == 0 else { throw LoadFailure.late("two is gone") }
                return outcome(rate: 1000)
            },
            progress: { _, _, _ in })
        let section = ReportSection(
            title: "get", plan: LoadPlan(), comparison: comparison, addresses: ["a", "b"])
        let text = ComparisonText.lines(section).joined(separator: "\n")
        #expect(text.contains("two: FAILED in round 1: two is gone"))
        #expect(text.contains("one: 1.6.45"))
        #expect(comparison.targets[0].outcomes.count == 3)
        let csv = CSVText.lines(report([section]))
        #expect(csv.count == 1 + 3 + 1)
        #expect(csv.filter { $0.hasSuffix("\"two is gone\"") }.count == 1)
        #expect(PageText.page(report([section])).contains("two failed in round 1: two is gone"))
    }

    @Test func aFailedRoundIsLeftOutOfPairs() {
        var comparison = Comparison(names: ["one", "two"])
        var calls = 0
        comparison.perform(
            rounds: 3,
            run: { (index) throws(LoadFailure) in
                calls += 1
                guard calls != 5 else { throw LoadFailure.late("gone") }
                return outcome(rate: index == 0 ? 100 * Double(calls) : 50 * Double(calls))
            },
            progress: { _, _, _ in })
        // Calls 1 (one), 2 (two); 3 (two), 4 (one); 5 (one) fails, 6 (two).
        #expect(comparison.ratio(of: 1, \.operationsPerSecond)?.least == 150.0 / 400)
        #expect(comparison.ratio(of: 1, \.operationsPerSecond)?.most == 1)
        #expect(comparison.spread(of: 0, \.operationsPerSecond)?.most == 400)
        #expect(comparison.targets[0].failure?.round == 2)
    }
}

@Suite struct ReportFileTests {
    @Test func csvHasOneLinePerCommandAndRun() throws {
        var section = section(["a,b", "two"])
        section.plan.mix = try CommandMix(parsing: "get,set")
        let lines = CSVText.lines(report([section]))
        #expect(lines[0] == CSVText.header.joined(separator: ","))
        #expect(lines.count == 1 + 3 * 2 * 2)
        let begin = "\"get, \"\"quoted\"\"\",1,\"a,b\",127.0.0.1:11211,get,1000000,"
        #expect(lines[1].hasPrefix(begin), "\(lines[1])")
        for line in lines { #expect(fields(line).count == CSVText.header.count, "\(line)") }
        let set = fields(lines[2])
        #expect(set[4...5] == ["set", "0"])
        #expect(try fields(lines[1])[#require(CSVText.header.firstIndex(of: "seed"))] == "1")
    }

    /// The header is an interface: scripts read it. New columns come last.
    @Test func theHeaderOfCSVStays() {
        let stays = """
            load,round,target,address,command,requests,mean_us,p50_us,p90_us,p95_us,p99_us,\
            p99.9_us,p99.99_us,max_us,seconds,operations,operations_per_second,\
            requests_per_second,hits,misses,errors,received_bytes,sent_bytes,\
            server_us_per_operation,server_share,server_rss_anon_bytes_before,\
            server_rss_anon_bytes_after,generator_us_per_operation,generator_share,\
            generator_bound,server_version,brim_version,kernel,processor,generator_version,\
            seed,plan,failure
            """
        #expect(CSVText.header.joined(separator: ",").hasPrefix(stays))
    }

    /// The text format of HdrHistogram's outputPercentileDistribution, which its plotters read:
    /// a header, an empty line, rows of value, percentile, count and 1/(1-percentile), the last
    /// row without the fourth, and three lines of sums.
    @Test func percentileFilesAreHdrHistogramsOwn() throws {
        let files = PercentileFiles.files(report([section(["one", "two"])]), path: "p")
        #expect(files.map(\.path) == ["p.one.get", "p.two.get"])
        let lines = files[0].text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0] == "       Value     Percentile TotalCount 1/(1-Percentile)")
        #expect(lines[1] == "")
        let rows = lines.dropFirst(2).filter { !$0.hasPrefix("#") && !$0.isEmpty }
        #expect(rows.count > 20)
        var last = (value: 0.0, share: 0.0, count: 0.0)
        for row in rows.dropLast() {
            let cells = row.split(separator: " ").compactMap { Double($0) }
            #expect(cells.count == 4, "\(row)")
            guard cells.count == 4 else { continue }
            #expect(cells[0] >= last.value)
            #expect(cells[1] >= last.share)
            #expect(cells[2] >= last.count)
            #expect(abs(cells[3] - 1 / (1 - cells[1])) <= 0.01 + cells[3] * 1e-6)
            last = (cells[0], cells[1], cells[2])
        }
        let end = try #require(rows.last).split(separator: " ").compactMap { Double($0) }
        #expect(end.dropFirst() == [1, 3_000_000])
        let sums = lines.filter { $0.hasPrefix("#") }
        #expect(sums.count == 3)
        #expect(sums[0].contains(/^#\[Mean    = +[0-9.]+, StdDeviation   = +[0-9.]+\]$/))
        #expect(sums[1].contains(/^#\[Max     = +[0-9.]+, Total count    = +3000000\]$/))
        #expect(sums[2].contains(/^#\[Buckets = +[0-9]+, SubBuckets     = +[0-9]+\]$/))
    }

    @Test func objectsAreReadByAnotherReader() throws {
        let evil = section(version: "\u{1}\"\\\n</script>")
        let text = ComparisonObject.object(report([evil, evil])).text
        let child = try Child(
            "/usr/bin/python3",
            [
                "-B", "-c",
                "import json,sys; d=json.loads(sys.argv[1]);"
                    + "print(len(d['loads']), d['loads'][1]['targets'][0]['rounds'][2]['hits'],"
                    + "repr(d['loads'][0]['targets'][0]['rounds'][0]['server_version']))", text,
            ])
        #expect(
            child.finish().output == "2 17000000000000 '\\x01\"\\\\\\n</script>'\n")
    }

    @Test func theGeneratorHasTheServersVersion() throws {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
            .joined(separator: "/")
        let text = try SystemTree.text(root + "/Sources/Server/Process/Version.swift").orThrow()
        #expect(text.contains("number = \"\(GeneratorVersion.number)\""))
    }
}

/// The fields of a line of CSV.
private func fields(_ line: String) -> [String] {
    var fields = [""]
    var isQuoted = false
    for character in line.replacing("\"\"", with: "\u{1}") {
        switch character {
        case "\"": isQuoted.toggle()
        case "," where !isQuoted: fields.append("")
        case "\u{1}": fields[fields.count - 1] += "\""
        default: fields[fields.count - 1].append(character)
        }
    }
    return fields
}

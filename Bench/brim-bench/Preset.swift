// Preset: loads after published measurements, by name: `--preset NAME` stands for its options.
//
// A preset says how long keys and values are, which commands come how often, and how keys are
// chosen; how many keys, connections and requests there are is the user's. Options beside it
// count more. Options of the user's own go into a file (WorkloadFile).

internal import Load

/// A load with a name.
///
/// `etc` is Facebook's general pool: sizes and the ratio of gets to updates (30:1) are those of
/// Atikoglu et al., "Workload Analysis of a Large-Scale Key-Value Store", SIGMETRICS 2012. The
/// paper fits no exponent to the popularity of keys: 0.99 is ours.
///
/// `twitter-NN` is a shape after the means that were published for a cluster of Yang, Yue and
/// Rashmi, "A large scale analysis of hundreds of in-memory cache clusters at Twitter", OSDI
/// 2020, in the table stat/2020Mar.md beside their traces (github.com/twitter/cache-trace): mean
/// key size, mean value size, shares of the commands, most common times to live, Zipf's alpha.
/// It is not the cluster: all its keys have the mean size, and its value sizes are exponential
/// around the mean, because only means were published.
struct Preset {
    let name: String
    /// Options as in a workload file.
    let options: [String]

    static let all = [
        Preset("etc", "key-bytes etc value-bytes etc mix get=30,set=1 distribution zipf:0.99"),
        // Mostly written, read seldom.
        Preset(
            "twitter-12",
            "key-bytes 44 value-bytes exponential:1030 mix set=80,get=20 "
                + "ttl 300 distribution zipf:0.3048"),
        // Deletes as invalidations.
        Preset(
            "twitter-14",
            "key-bytes 96 value-bytes exponential:414 "
                + "mix get=65,delete=22,set=13 ttl 86400 distribution zipf:1.2959"),
        // Tiny values, very hot keys. The published 1 % of gets and of cas are a get and a set.
        Preset(
            "twitter-18",
            "key-bytes 18 value-bytes exponential:37 mix get=97,add=1,set=1 "
                + "ttl 43200 distribution zipf:2.0994"),
        // Counters beside values; 85 % of the published times to live are a day.
        Preset(
            "twitter-22",
            "key-bytes 54 value-bytes exponential:4 "
                + "mix get=72,incr=18,set=10 ttl 86400 distribution zipf:0.7624"),
        // Two thirds of the published times to live are an hour, one third two.
        Preset(
            "twitter-29",
            "key-bytes 36 value-bytes exponential:799 mix get=86,set=13 "
                + "ttl 3600 distribution zipf:1.2323"),
        // The ten most common times to live lie from 9.7 to 11.2 hours.
        Preset(
            "twitter-34",
            "key-bytes 33 value-bytes exponential:322 mix get=94,set=6 "
                + "ttl 34920-40320 distribution zipf:1.1401"),
    ]

    private init(_ name: String, _ words: String) {
        self.name = name
        options = words.split(separator: " ").enumerated().map { index, word in
            index.isMultiple(of: 2) ? "--\(word)" : String(word)
        }
    }

    /// Replaces `--preset NAME` by its options. They come first, right behind the subcommand, so
    /// that everything else that is said counts more.
    static func expand(_ arguments: [String]) throws(ArgumentFault) -> [String] {
        let (names, rest) = try NamedArgument.take("preset", from: arguments)
        var found: [String] = []
        for name in names {
            guard let preset = all.first(where: { $0.name == name }) else {
                throw ArgumentFault(
                    "preset '\(name)' is none of "
                        + all.map(\.name).joined(separator: ", "))
            }
            found += preset.options
        }
        return Array(rest.prefix(1)) + found + rest.dropFirst()
    }
}

/// An option that is taken out of the command line before it is parsed.
enum NamedArgument {
    /// The values of `--name VALUE` and `--name=VALUE`, in order, and what else there was.
    static func take(_ name: String, from arguments: [String])
        throws(ArgumentFault) -> (values: [String], rest: [String])
    {
        var (values, rest): ([String], [String]) = ([], [])
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            if argument == "--\(name)" {
                guard index < arguments.count else {
                    throw ArgumentFault("\(name): its value is missing")
                }
                values.append(arguments[index])
                index += 1
            } else if argument.hasPrefix("--\(name)=") {
                values.append(String(argument.dropFirst(name.count + 3)))
            } else {
                rest.append(argument)
            }
        }
        return (values, rest)
    }
}

// main: the bundled load generator, from its arguments to its exit code.

internal import Glibc

signal(SIGPIPE, SIG_IGN)
exit(BenchCommand.perform(Array(CommandLine.arguments.dropFirst())))

// main: turns a command line into settings, and settings into a server.
//
// Everything heavy (argument parser, configuration, Foundation) lives in this target and is done
// with before the server starts.

internal import FoundationEssentials
internal import Glibc

// A log reader that went away must cost lines, not the server.
signal(SIGPIPE, SIG_IGN)
exit(
    Command.run(
        arguments: Array(CommandLine.arguments.dropFirst()),
        environment: ProcessInfo.processInfo.environment))

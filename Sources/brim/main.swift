// main: turns a command line into settings, and settings into a server.
//
// Foundation is not among what is linked: it would more than double the executable, and the time
// from its start to its first reply.

internal import Glibc
internal import Primitives

// A log reader that went away must cost lines, not the server.
signal(SIGPIPE, SIG_IGN)
Machine.spareAddresses()
exit(
    Command.run(
        arguments: Array(CommandLine.arguments.dropFirst()),
        environment: EnvironmentVariables.all()))

// ClientTests: the memcached clients that people have already.

import Testing

extension ProcessTests {
    @Suite struct ClientTests {
        @Test(arguments: [
            "memccapable", "pymemcache", "libmc", "libmc_binary", "python_memcached", "unix_socket",
        ])
        func theClientIsServed(_ client: String) throws {
            try Scenario.run("clients.\(client)")
        }
    }
}

// Client.java PORT DIALECT: spymemcached, as Debian packages it; DIALECT is text or binary.

import java.net.InetSocketAddress;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import net.spy.memcached.CASResponse;
import net.spy.memcached.CASValue;
import net.spy.memcached.ConnectionFactory;
import net.spy.memcached.ConnectionFactoryBuilder;
import net.spy.memcached.ConnectionFactoryBuilder.Protocol;
import net.spy.memcached.MemcachedClient;

class Client {
    static void expect(String what, boolean holds) {
        if (!holds) {
            System.out.println(what);
            System.exit(1);
        }
    }

    public static void main(String[] arguments) throws Exception {
        boolean isBinary = arguments[1].equals("binary");
        // On a busy machine two seconds and a half may not be enough.
        ConnectionFactory kind = new ConnectionFactoryBuilder()
            .setProtocol(isBinary ? Protocol.BINARY : Protocol.TEXT)
            .setOpTimeout(30_000)
            .build();
        MemcachedClient client = new MemcachedClient(
            kind, List.of(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]))));
        expect("flush", client.flush().get());
        expect("set", client.set("a", 100, List.of(1, 2)).get());
        expect("get", client.get("a").equals(List.of(1, 2)));
        expect("miss", client.get("none") == null);
        expect("add", !client.add("a", 100, "x").get());
        expect("add where nothing is", client.add("b", 100, "x").get());
        expect("replace", !client.replace("c", 100, "x").get());
        CASValue<Object> found = client.gets("b");
        expect("append", client.append(found.getCas(), "b", "y").get());
        found = client.gets("b");
        expect("prepend", client.prepend(found.getCas(), "b", "w").get());
        expect("joined", client.get("b").equals("wxy"));
        expect("old cas", client.cas("b", found.getCas(), "z") == CASResponse.EXISTS);
        expect("cas", client.cas("b", client.gets("b").getCas(), "z") == CASResponse.OK);
        expect("counter", client.incr("n", 1, 10) == 10 && client.incr("n", 5) == 15);
        expect("decr", client.decr("n", 20) == 0);
        char[] letters = new char[15000];
        for (int index = 0; index < letters.length; index++) {
            letters[index] = (char) ('a' + index % 26);
        }
        String text = new String(letters);
        expect("long", client.set("long", 0, text).get() && client.get("long").equals(text));
        byte[] bytes = new byte[900000];
        new java.util.Random(1).nextBytes(bytes);
        expect("longer", client.set("longer", 0, bytes).get());
        expect("whole", Arrays.equals((byte[]) client.get("longer"), bytes));
        Future<Boolean> last = null;
        String[] keys = new String[2000];
        for (int number = 0; number < keys.length; number++) {
            keys[number] = "k" + number;
            last = client.set(keys[number], 0, "v" + number);
        }
        expect("the last of many", last.get());
        Map<String, Object> all = client.getBulk(keys);
        expect("all of many", all.size() == 2000 && all.get("k1999").equals("v1999"));
        if (isBinary) {
            expect("touch", client.touch("b", 50).get());
            expect("get and touch", client.getAndTouch("b", 50).getValue().equals("z"));
        }
        expect("delete", client.delete("b").get() && client.get("b") == null);
        expect("version", client.getVersions().values().iterator().next().startsWith("1.6."));
        expect("stats", client.getStats().values().iterator().next().containsKey("get_hits"));
        expect("stats settings",
            client.getStats("settings").values().iterator().next().containsKey("maxbytes"));
        client.shutdown();
        System.out.println("done");
    }
}

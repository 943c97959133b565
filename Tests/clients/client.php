<?php
// client.php PORT binary|text: php-memcached over its whole interface, and sessions kept in Brim.
[, $port, $dialect] = $argv;

function expect($what, $found, $wanted)
{
    if ($found !== $wanted) {
        echo "$what: found ", var_export($found, true), "\n";
        echo "wanted ", var_export($wanted, true), "\n";
        exit(1);
    }
}

$client = new Memcached();
$client->setOption(Memcached::OPT_BINARY_PROTOCOL, $dialect === 'binary');
$client->setOption(Memcached::OPT_TCP_NODELAY, true);
// On a busy machine a second may not be enough.
$client->setOption(Memcached::OPT_CONNECT_TIMEOUT, 30000);
$client->setOption(Memcached::OPT_POLL_TIMEOUT, 30000);
$client->addServer('127.0.0.1', (int) $port);
expect('flush', $client->flush(), true);

// Values of every kind, compressed where they are long.
$values = ['text' => 'hi', 'number' => 17, 'real' => 1.5, 'yes' => true,
    'list' => [1, 'two', ['three' => 3]], 'long' => str_repeat('long ', 50000), 'empty' => ''];
expect('setMulti', $client->setMulti($values, 100), true);
expect('getMulti', $client->getMulti(array_keys($values), Memcached::GET_PRESERVE_ORDER), $values);
foreach ($values as $key => $value) {
    expect("get $key", $client->get($key), $value);
}
expect('miss', $client->get('none'), false);
expect('miss code', $client->getResultCode(), Memcached::RES_NOTFOUND);

// Storing under conditions.
expect('add', $client->add('text', 'x'), false);
expect('add none', $client->add('added', 'x', 100), true);
expect('replace', $client->replace('nobody', 'x'), false);
expect('replace text', $client->replace('text', 'ho'), true);
$client->setOption(Memcached::OPT_COMPRESSION, false);
expect('append', $client->append('text', '!'), true);
expect('prepend', $client->prepend('text', '-'), true);
expect('joined', $client->get('text'), '-ho!');
$found = $client->get('text', null, Memcached::GET_EXTENDED);
expect('cas', $client->cas($found['cas'], 'text', 'new'), true);
expect('cas again', $client->cas($found['cas'], 'text', 'newer'), false);
expect('cas code', $client->getResultCode(), Memcached::RES_DATA_EXISTS);

// Counting, touching, deleting.
expect('counter', $client->set('counter', 10), true);
expect('increment', $client->increment('counter', 5), 15);
expect('decrement', $client->decrement('counter', 20), 0);
if ($dialect === 'binary') {
    expect('initial', $client->increment('fresh', 1, 7, 100), 7);
}
expect('touch', $client->touch('counter', 100), true);
expect('delete', $client->delete('counter'), true);
expect('delete again', $client->delete('counter'), false);
expect('deleteMulti', $client->deleteMulti(['text', 'nobody']),
    ['text' => true, 'nobody' => Memcached::RES_NOTFOUND]);
expect('too large', $client->set('big', str_repeat("\0", 2 << 20)), false);
expect('goes on', $client->set('after', 'x'), true);
$client->getDelayed(['added', 'after']);
$delayed = [];
while ($item = $client->fetch()) {
    $delayed[$item['key']] = $item['value'];
}
ksort($delayed);
expect('getDelayed', $delayed, ['added' => 'x', 'after' => 'x']);
$server = "127.0.0.1:$port";
expect('version', preg_match('/^1\.6\./', $client->getVersion()[$server]), 1);
expect('stats', $client->getStats()[$server]['curr_items'] > 5, true);

// Sessions, locked while they are open.
ini_set('session.save_handler', 'memcached');
ini_set('session.save_path', "127.0.0.1:$port");
ini_set('memcached.sess_locking', '1');
ini_set('memcached.sess_connect_timeout', '30000');
ini_set('memcached.sess_binary_protocol', $dialect === 'binary' ? '1' : '0');
ini_set('session.use_cookies', '0');
session_id("brim-$dialect");
expect('session_start', session_start(), true);
$_SESSION = ['user' => 'anna', 'seen' => [1, 2, 3]];
expect('session_write_close', session_write_close(), true);
$_SESSION = [];
session_start();
expect('session', $_SESSION, ['user' => 'anna', 'seen' => [1, 2, 3]]);
expect('session_destroy', session_destroy(), true);
session_start();
expect('session gone', $_SESSION, []);
echo "done\n";

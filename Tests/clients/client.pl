# client.pl PORT MODULE: Cache::Memcached or Cache::Memcached::Fast over their whole interface.
use strict;
use warnings;

my ($port, $module) = @ARGV;
eval "require $module; 1" or die $@;
my $isFast = $module eq 'Cache::Memcached::Fast';
# A busy machine may keep anybody waiting: what a second was not enough for is no failure.
my %patience = $isFast ? (io_timeout => 30) : (select_timeout => 30);
my $client = $module->new({servers => ["127.0.0.1:$port"], namespace => 'perl:',
    compress_threshold => 10_000, connect_timeout => 30, %patience});

sub expect {
    my ($what, $found, $wanted) = @_;
    ($found, $wanted) = map { defined $_ ? $_ : 'nothing' } $found, $wanted;
    return if $found eq $wanted;
    print "$what: found $found, wanted $wanted\n";
    exit 1;
}

expect('set', $client->set('a', 'hi', 100), 1);
expect('get', $client->get('a'), 'hi');
expect('miss', $client->get('none'), undef);
my $long = 'long ' x 50_000;
expect('set long', $client->set('long', $long), 1);
expect('get long', $client->get('long'), $long);
expect('set list', $client->set('list', {one => [1, 2, 3]}), 1);
expect('get list', join(',', @{$client->get('list')->{one}}), '1,2,3');
my $many = $client->get_multi(qw(a long none));
expect('get_multi', join(',', sort keys %$many), 'a,long');
expect('add', $client->add('a', 'x') ? 1 : 0, 0);
expect('add none', $client->add('b', 'x'), 1);
expect('replace', $client->replace('a', '10'), 1);
expect('incr', $client->incr('a', 5), 15);
# Zero that is true.
expect('decr', $client->decr('a', 20) + 0, 0);
expect('delete', $client->delete('b'), 1);
expect('delete again', $client->delete('b') ? 1 : 0, 0);
if ($isFast) {
    expect('append', $client->append('a', '!'), 1);
    expect('prepend', $client->prepend('a', '-'), 1);
    my $found = $client->gets('a');
    expect('cas', $client->cas('a', $found->[0], 'new'), 1);
    expect('cas again', $client->cas('a', $found->[0], 'newer') ? 1 : 0, 0);
    expect('touch', $client->touch('a', 100), 1);
    my $results = $client->set_multi(map { ["m$_", "v$_"] } 1 .. 200);
    expect('set_multi', scalar(grep { $results->{"m$_"} } 1 .. 200), 200);
    my $touched = $client->gat_multi(100, map { "m$_" } 1 .. 200);
    expect('gat_multi', scalar(keys %$touched), 200);
    my ($version) = values %{$client->server_versions};
    expect('version', $version =~ /^1\.6\./ ? 1 : 0, 1);
    $client->nowait_push;
} else {
    my $stats = $client->stats('misc');
    expect('stats', $stats->{total}{curr_items} > 2 ? 1 : 0, 1);
}
expect('flush_all', $client->flush_all ? 1 : 0, 1);
expect('flushed', $client->get('a'), undef);
print "done\n";

# client.rb PORT: Dalli, which speaks the binary protocol, over its whole interface.
require 'dalli'

def expect(what, found, wanted)
  return if found == wanted

  puts "#{what}: found #{found.inspect}, wanted #{wanted.inspect}"
  exit 1
end

# On a busy machine half a second may not be enough.
client = Dalli::Client.new("127.0.0.1:#{ARGV[0]}", namespace: 'ruby', compress: true,
                                                  socket_timeout: 30)
client.flush
long = 'long ' * 50_000
expect 'set', (client.set('a', { 'x' => [1, 2] }, 100) ? true : false), true
expect 'get', client.get('a'), { 'x' => [1, 2] }
expect 'miss', client.get('none'), nil
client.set('long', long)
expect 'long', client.get('long'), long
expect 'get_multi', client.get_multi('a', 'long', 'none').keys.sort, %w[a long]
expect 'fetch', client.fetch('made', 100) { 'value' }, 'value'
expect 'fetch again', client.fetch('made', 100) { 'other' }, 'value'
expect 'add', client.add('a', 1), false
expect 'replace', client.replace('nobody', 1), 0
expect 'replaced', client.get('nobody'), nil
client.set('raw', 'b', 0, raw: true)
expect 'append', client.append('raw', 'c'), true
expect 'prepend', client.prepend('raw', 'a'), true
expect 'joined', client.get('raw', raw: true), 'abc'
expect 'incr', client.incr('counter', 1, 100, 10), 10
expect 'incr again', client.incr('counter', 5), 15
expect 'decr', client.decr('counter', 20), 0
expect 'cas', (client.cas('made') { |old| "#{old}!" } ? true : false), true
expect 'changed', client.get('made'), 'value!'
expect 'touch', client.touch('made', 100), true
expect 'gat', client.gat('made', 100), 'value!'
expect 'delete', client.delete('made'), true
expect 'delete again', (client.delete('made') ? true : false), false
client.multi do
  200.times { |number| client.set("q#{number}", number) }
end
expect 'quiet', client.get_multi((0...200).map { |number| "q#{number}" }).size, 200
expect 'stats', client.stats.values.first['curr_items'].to_i > 100, true
expect 'version', client.version.values.first.start_with?('1.6.'), true
expect 'goes on', client.get('q7'), 7
puts 'done'

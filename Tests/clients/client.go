// client.go PORT: gomemcache, as Debian packages it, over its whole interface.
package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

func expect(what string, holds bool) {
	if !holds {
		fmt.Println(what)
		os.Exit(1)
	}
}

func main() {
	client := memcache.New("127.0.0.1:" + os.Args[1])
	// On a busy machine half a second may not be enough.
	client.Timeout = 30 * time.Second
	item := func(key, value string) *memcache.Item {
		return &memcache.Item{Key: key, Value: []byte(value), Flags: 7, Expiration: 100}
	}
	expect("set", client.Set(item("a", "1")) == nil)
	found, err := client.Get("a")
	expect("get", err == nil && string(found.Value) == "1" && found.Flags == 7)
	_, err = client.Get("none")
	expect("miss", err == memcache.ErrCacheMiss)
	expect("add", client.Add(item("a", "2")) == memcache.ErrNotStored)
	expect("add where nothing is", client.Add(item("b", "2")) == nil)
	found.Value = []byte("3")
	expect("cas", client.CompareAndSwap(found) == nil)
	expect("cas again", client.CompareAndSwap(found) == memcache.ErrCASConflict)
	many, err := client.GetMulti([]string{"a", "b", "none"})
	expect("get of many", err == nil && len(many) == 2 && string(many["a"].Value) == "3")
	expect("counter", client.Set(item("n", "10")) == nil)
	number, err := client.Increment("n", 5)
	expect("incr", err == nil && number == 15)
	number, err = client.Decrement("n", 20)
	expect("decr", err == nil && number == 0)
	_, err = client.Increment("none", 1)
	expect("incr of nothing", err == memcache.ErrCacheMiss)
	long := bytes.Repeat([]byte("0123456789"), 90000)
	expect("long", client.Set(&memcache.Item{Key: "long", Value: long}) == nil)
	found, err = client.Get("long")
	expect("long is whole", err == nil && bytes.Equal(found.Value, long))
	expect("touch", client.Touch("a", 50) == nil)
	expect("touch of nothing", client.Touch("none", 50) == memcache.ErrCacheMiss)
	expect("delete", client.Delete("a") == nil)
	expect("delete again", client.Delete("a") == memcache.ErrCacheMiss)
	done := make(chan bool)
	for worker := 0; worker < 8; worker++ {
		go func(worker int) {
			for number := 0; number < 200; number++ {
				key := fmt.Sprintf("w%d-%d", worker, number)
				expect("set by many", client.Set(item(key, key)) == nil)
				found, err := client.Get(key)
				expect("get by many", err == nil && string(found.Value) == key)
			}
			done <- true
		}(worker)
	}
	for worker := 0; worker < 8; worker++ {
		<-done
	}
	fmt.Println("done")
}

// Command original-host is the Go original's host: it loads a KV plugin and answers one job.
//
//	original-host JOB
package main

import (
	"context"

	"bun-plug.bench/internal/measure"
	"github.com/elliotmr/plug/example"
)

// subject is a loaded plugin. The original has no way to close one: it ends with this process.
type subject struct{ example.KV }

func (s subject) Get(_ context.Context, key string) ([]byte, error) { return s.KV.Get(key) }

func (s subject) Put(_ context.Context, key string, value []byte) error { return s.KV.Put(key, value) }

func main() {
	measure.Main(func(command []string) (measure.Subject, error) {
		kv, err := example.LoadKV(command[0])
		if err != nil {
			return nil, err
		}
		// Its own example starts with nothing in it.
		return subject{kv}, kv.Put(measure.SmallKey, measure.SmallValue())
	})
}

func (subject) Transport() string { return "stdio" }

func (subject) Close() {}
